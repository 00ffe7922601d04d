import { member, type WayOut } from './way.ts';

const KEY = 'hearthlend-kept';

/** Ways to keep something for later, or to pass it to another page. */
export const storageWays: WayOut[] = [
  { name: 'local-storage', kind: 'storage', reach: () => keptIn(localStorage) },
  { name: 'session-storage', kind: 'storage', reach: () => keptIn(sessionStorage) },
  {
    name: 'cookie',
    kind: 'storage',
    reach() {
      // biome-ignore lint/suspicious/noDocumentCookie: the old way is one that has to be closed
      document.cookie = `${KEY}=1; max-age=600`;
      return document.cookie.includes(KEY) ? 'a cookie was kept' : null;
    },
  },
  {
    name: 'cookie-store',
    kind: 'storage',
    async reach() {
      const store = member<{ set(name: string, value: string): Promise<void>; get(name: string): Promise<unknown> }>('cookieStore');
      await store.set(`${KEY}-2`, '1');
      return (await store.get(`${KEY}-2`)) === null ? null : 'a cookie was kept';
    },
  },
  {
    name: 'indexed-db',
    kind: 'storage',
    reach: () =>
      new Promise((resolve, reject) => {
        const request = indexedDB.open(KEY);
        request.onsuccess = () => resolve('a database was opened');
        request.onerror = () => reject(request.error ?? new Error('refused'));
      }),
  },
  {
    name: 'cache-storage',
    kind: 'storage',
    async reach() {
      const cache = await caches.open(KEY);
      await cache.put('/kept', new Response('kept'));
      return 'an answer was kept';
    },
  },
  {
    name: 'private-files',
    kind: 'storage',
    async reach() {
      const folder = await navigator.storage.getDirectory();
      await folder.getFileHandle(KEY, { create: true });
      return 'a file was made';
    },
  },
  {
    name: 'storage-bucket',
    kind: 'storage',
    async reach() {
      await member<{ open(name: string): Promise<unknown> }>('navigator.storageBuckets').open(KEY);
      return 'a bucket was made';
    },
  },
  { name: 'web-lock', kind: 'storage', reach: () => navigator.locks.request(KEY, () => 'a lock that others see was taken') },
];

function keptIn(storage: Storage): string | null {
  storage.setItem(KEY, '1');
  return storage.getItem(KEY) === '1' ? 'a value was kept' : null;
}
