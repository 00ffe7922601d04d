import { type MessageKey, message } from '../../core/contract/messages.ts';
import type { WalletStatus } from '../../core/contract/wallet.ts';
import { Brand } from './brand.tsx';
import { Lock } from './lock.tsx';
import { ADDRESS, type Route } from './use-route.ts';

/** In the order in which they stand. */
export const PAGES: Array<{ route: Route; name: MessageKey }> = [
  { route: 'home', name: 'screen.nav.home' },
  { route: 'earnings', name: 'screen.nav.earnings' },
  { route: 'when-to-work', name: 'screen.nav.when-to-work' },
  { route: 'this-pc', name: 'screen.nav.this-pc' },
  { route: 'networks', name: 'networks.nav' },
  { route: 'use-it', name: 'screen.nav.use-it' },
  { route: 'wallet', name: 'screen.nav.wallet' },
];

/** The brand and the pages there are; without a connection there are none to go to. */
export function SideBar({ route, alone, wallet }: { route: Route; alone: boolean; wallet: WalletStatus | null }): React.ReactNode {
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
                  {page.route === 'wallet' && wallet?.kind === 'own' && <LockWord unlocked={wallet.unlocked} />}
                </a>
                {page.route === 'wallet' && wallet?.kind === 'own' && <Lock wallet={wallet} />}
              </li>
            ))}
          </ul>
        </nav>
      )}
    </header>
  );
}

/** Whether the key is in memory, on every page. */
function LockWord({ unlocked }: { unlocked: boolean }): React.ReactNode {
  return (
    <>
      {/* For readers, to whom the two words would be one. */ ' '}
      <span className={unlocked ? 'lock-word open' : 'lock-word'}>{message(unlocked ? 'screen.nav.unlocked' : 'screen.nav.locked')}</span>
    </>
  );
}
