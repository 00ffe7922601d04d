import { formatJoinLink, parseJoinLink } from '../../core/contract/joining.ts';

const LONGEST = 2048;

/**
 * What a `hearthlend:` link asks for. Any page can send one, so that it may ask for little: `open` shows the window, `join` puts an invitation into
 * a field of the Networks page, where the user may press on.
 */
export type Link = { action: 'open' } | { action: 'join'; invitation: string } | { action: 'refused' };

/** Reads a link. Anything but exactly `hearthlend://open`, with or without a slash at its end, or a whole invitation is refused. */
export function parseLink(text: string): Link {
  const invitation = text.length > LONGEST ? null : parseJoinLink(text);
  if (invitation !== null) return { action: 'join', invitation: formatJoinLink(invitation) };
  const url = text.length > LONGEST ? null : URL.parse(text);
  const plain =
    url !== null &&
    url.protocol === 'hearthlend:' &&
    url.host === 'open' &&
    (url.pathname === '' || url.pathname === '/') &&
    url.search === '' &&
    url.hash === '' &&
    url.username === '' &&
    url.password === '';
  return { action: plain ? 'open' : 'refused' };
}
