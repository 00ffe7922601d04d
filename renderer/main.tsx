// First of all: it must run before any schema is made.
import './no-eval.ts';
import '@fontsource-variable/inter/wght.css';
import '@fontsource-variable/inter/wght-italic.css';
import '@fontsource-variable/jetbrains-mono/wght.css';
import './style/tokens.css';
import './style/base.css';
import './frame/frame.css';
import './frame/messages.css';
import './home/hero.css';
import './home/day.css';
import './home/numbers.css';
import './home/cards.css';
import './home/home.css';
import './earnings/earnings.css';
import './networks/networks.css';
import './this-pc/this-pc.css';
import './use-it/use-it.css';
import './wallet/wallet.css';
import './when-to-work/when-to-work.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { AgentContext, createAgent } from './agent/agent.ts';
import { openBySession, takeCode } from './agent/session.ts';
import { createStore } from './agent/store.ts';
import { App } from './app.tsx';
import { CrashBoundary } from './frame/crash-boundary.tsx';
import { findPageBridge, openElectronIpc } from './transport/electron-ipc.ts';

const bridge = findPageBridge(window);
const session = openBySession(takeCode());
const store = createStore();
const agent = createAgent(store, bridge === null ? session.open : async () => openElectronIpc(bridge));

// A link pasted into this tab changes only the part after #, so the page isn't loaded anew.
addEventListener('hashchange', () => {
  const code = takeCode();
  if (code === null) return;
  session.takeNewCode(code);
  agent.reconnect();
});
// Timers of a hidden page are slowed down: whoever comes back to it shouldn't wait.
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible' && store.get().link.name === 'lost') agent.reconnect();
});

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <CrashBoundary>
      <AgentContext value={agent}>
        <App store={store} />
      </AgentContext>
    </CrashBoundary>
  </StrictMode>,
);
