const LONGEST = 2048;

/** What a `hearthlend:` link asks for. Any page can send one, so that it may ask for little: `open` shows the window. */
export type Link = { action: 'open' } | { action: 'refused' };

/** Reads a link. Anything but exactly `hearthlend://open`, with or without a slash at its end, is refused. */
export function parseLink(text: string): Link {
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
