// First of all: it must run before any schema is made.
import '../../../renderer/no-eval.ts';
import '@fontsource-variable/inter/wght.css';
import '@fontsource-variable/jetbrains-mono/wght.css';
import '../../../renderer/style/tokens.css';
import '../../../renderer/style/base.css';
import './page.css';
import './answer.css';
import './money.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { openBySession, takeCode } from '../../../renderer/agent/session.ts';
import { newStory, type Story } from '../story.ts';
import { type Link, Page } from './page.tsx';

const root = createRoot(document.getElementById('root') as HTMLElement);
let story: Story = newStory();
let link: Link = 'live';

function show(): void {
  root.render(
    <StrictMode>
      <Page story={story} link={link} />
    </StrictMode>,
  );
}

openBySession(takeCode())
  .open()
  .then((transport) => {
    if (transport === 'refused') {
      link = 'refused';
      return show();
    }
    transport.onMessage((message) => {
      story = message as Story;
      show();
    });
    transport.onClose(() => {
      link = 'ended';
      show();
    });
  })
  .catch(() => {
    link = 'ended';
    show();
  });
