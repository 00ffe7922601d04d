// First of all: it must run before any schema is made.
import '../no-eval.ts';
import '@fontsource-variable/inter/wght.css';
import '@fontsource-variable/inter/wght-italic.css';
import '@fontsource-variable/jetbrains-mono/wght.css';
import '../style/tokens.css';
import '../style/base.css';
import '../frame/frame.css';
import '../frame/messages.css';
import './operator.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { openBySession, takeCode } from '../agent/session.ts';
import { CrashBoundary } from '../frame/crash-boundary.tsx';
import { createOperator } from './operator.ts';
import { OperatorApp } from './operator-app.tsx';

const session = openBySession(takeCode());
const operator = createOperator(session.open);

// A link pasted into this tab changes only the part after #, so the page isn't loaded anew.
addEventListener('hashchange', () => {
  const code = takeCode();
  if (code === null) return;
  session.takeNewCode(code);
  operator.reconnect();
});
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible' && operator.state().link.name === 'lost') operator.reconnect();
});

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <CrashBoundary>
      <OperatorApp operator={operator} />
    </CrashBoundary>
  </StrictMode>,
);
