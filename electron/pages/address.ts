/** The scheme that our pages are served on. No program outside can reach it, unlike a port. */
export const SCHEME = 'app';
const HOST = 'hearthlend';
export const PAGE_URL = `${SCHEME}://${HOST}/`;

/** Whether an address is one of ours. Compared whole: a name that merely begins or ends like ours is a stranger's. */
export function isOurPage(address: string): boolean {
  const url = URL.parse(address);
  return url !== null && url.protocol === `${SCHEME}:` && url.host === HOST && url.username === '' && url.password === '';
}
