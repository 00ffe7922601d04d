import { message } from '../../core/contract/messages.ts';
import type { AppState } from '../agent/app-state.ts';
import { say } from '../words/say.ts';
import { timeText } from '../words/times.ts';

/** The one state and the one reason, in words: the agent's own while it is heard, else that it isn't. */
export function headline({ link, snapshot, heardAt }: AppState): { title: string; why: string } {
  switch (link.name) {
    case 'refused':
      return { title: message('screen.link.refused'), why: message('screen.link.refused.why') };
    case 'broken':
      return { title: message('screen.link.broken'), why: '' };
    case 'lost':
      return snapshot === null
        ? { title: message('screen.link.never'), why: message('screen.link.never.why') }
        : { title: message('screen.link.lost'), why: message('screen.link.lost.why', { time: timeText(heardAt ?? snapshot.now) }) };
    case 'connecting':
    case 'live':
      if (snapshot === null) return { title: message('screen.link.connecting'), why: message('screen.link.connecting.why') };
      return { title: message(`state.${snapshot.state.name}`), why: say(snapshot.state.reason) };
  }
}
