import type { Transport } from '../../core/contract/rpc-client.ts';
import { openWebSocket } from '../transport/web-socket.ts';
import type { Open } from './connection.ts';

const TOKEN_KEY = 'hearthlend.session';

/** Takes the single-use code out of the address, where history and screenshots would keep it. Null where there is none. */
export function takeCode(): string | null {
  const match = /^#code=([^&]+)$/.exec(location.hash);
  if (match === null) return null;
  history.replaceState(null, '', `${location.pathname}${location.search}`);
  return decodeURIComponent(match[1] as string);
}

/** How a page in a browser gets in: by its code once, from then on by the token, which lives as long as the tab. */
export function openBySession(firstCode: string | null): { open: Open; takeNewCode(code: string): void } {
  let code = firstCode;

  async function open(): Promise<Transport | 'refused'> {
    const url = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/rpc`;
    const token = sessionStorage.getItem(TOKEN_KEY);
    if (code !== null) {
      const entry = await openWebSocket(url, { code });
      code = null;
      if (entry.admitted) return admit(entry.token, entry.transport);
    }
    if (token === null) return 'refused';
    const entry = await openWebSocket(url, { token });
    if (entry.admitted) return admit(entry.token, entry.transport);
    sessionStorage.removeItem(TOKEN_KEY);
    return 'refused';
  }

  function admit(token: string, transport: Transport): Transport {
    sessionStorage.setItem(TOKEN_KEY, token);
    return transport;
  }

  return {
    open,
    takeNewCode: (fresh) => {
      code = fresh;
    },
  };
}
