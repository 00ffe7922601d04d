import { type MessageKey, message } from '../../core/contract/messages.ts';
import { Brand } from './brand.tsx';
import { ADDRESS, type Route } from './use-route.ts';

const PAGES: Array<{ route: Route; name: MessageKey }> = [
  { route: 'home', name: 'screen.nav.home' },
  { route: 'use-it', name: 'screen.nav.use-it' },
];

/** The brand and the pages there are; without a connection there are none to go to. */
export function SideBar({ route, alone }: { route: Route; alone: boolean }): React.ReactNode {
  return (
    <header className="side">
      <Brand />
      {!alone && (
        <nav aria-label={message('screen.nav')}>
          <ul>
            {PAGES.map((page) => (
              <li key={page.route}>
                <a href={ADDRESS[page.route]} aria-current={page.route === route ? 'page' : undefined}>
                  {message(page.name)}
                </a>
              </li>
            ))}
          </ul>
        </nav>
      )}
    </header>
  );
}
