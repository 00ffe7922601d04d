import { useEffect, useRef } from 'react';
import { message } from '../core/contract/messages.ts';
import { type Store, useAppState } from './agent/store.ts';
import { EarningsPage } from './earnings/earnings-page.tsx';
import { Alone } from './frame/alone.tsx';
import { Foot } from './frame/foot.tsx';
import { Notice } from './frame/notice.tsx';
import { PAGES, SideBar } from './frame/side-bar.tsx';
import { useRoute } from './frame/use-route.ts';
import { useTheme } from './frame/use-theme.ts';
import { headline } from './home/headline.ts';
import { Home } from './home/home.tsx';
import { NetworksPage } from './networks/networks-page.tsx';
import { ThisPcPage } from './this-pc/this-pc-page.tsx';
import { UseIt } from './use-it/use-it.tsx';
import { WalletPage } from './wallet/wallet-page.tsx';
import { WhenPage } from './when-to-work/when-page.tsx';

export function App({ store }: { store: Store }): React.ReactNode {
  const state = useAppState(store);
  const { route, part } = useRoute();
  const main = useRef<HTMLElement>(null);
  const firstAddress = useRef(`${route}/${part}`);
  useTheme(state.theme);

  const { title } = headline(state);
  useEffect(() => {
    const name = PAGES.find((page) => page.route === route)?.name;
    document.title =
      route === 'home' || name === undefined
        ? message('screen.title', { state: title })
        : message('screen.title.page', { page: message(name), state: title });
  }, [title, route]);
  // After a change of page the keyboard and the reader go on at its beginning, or at the part that was asked for.
  useEffect(() => {
    const address = `${route}/${part}`;
    if (firstAddress.current === address) return;
    firstAddress.current = address;
    const target = part === null ? null : document.getElementById(part);
    (target ?? main.current)?.focus({ preventScroll: true });
    if (target === null) scrollTo(0, 0);
    else target.scrollIntoView();
  }, [route, part]);

  const { snapshot, link } = state;
  const alone = snapshot === null || link.name === 'refused' || link.name === 'broken';
  return (
    <>
      <button type="button" className="skip" onClick={() => main.current?.focus()}>
        {message('screen.skip')}
      </button>
      <SideBar route={route} alone={alone} wallet={state.wallet} />
      <div className="page">
        <main id="page" ref={main} tabIndex={-1}>
          {state.notice !== null && <Notice error={state.notice} />}
          {alone && <Alone link={link} />}
          {!alone && route === 'home' && <Home state={state} snapshot={snapshot} />}
          {!alone && route === 'earnings' && <EarningsPage state={state} snapshot={snapshot} />}
          {!alone && route === 'when-to-work' && <WhenPage state={state} snapshot={snapshot} />}
          {!alone && route === 'this-pc' && <ThisPcPage state={state} snapshot={snapshot} />}
          {!alone && route === 'use-it' && <UseIt state={state} />}
          {!alone && route === 'networks' && <NetworksPage state={state} />}
          {!alone && route === 'wallet' && <WalletPage state={state} />}
        </main>
      </div>
      <Foot snapshot={alone ? null : snapshot} theme={state.theme} />
    </>
  );
}
