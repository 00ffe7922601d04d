import { place, type WayOut } from './way.ts';

/** Ways to another page, window or worker, in which the page's own rules might not hold, or to code that isn't the page's. */
export const windowWays: WayOut[] = [
  {
    name: 'window-open',
    kind: 'windows',
    leaves: true,
    reach: ({ url }) => (open(url) === null ? null : 'a window opened'),
  },
  {
    name: 'anchor-to-new-window',
    kind: 'windows',
    leaves: true,
    reach({ url }) {
      place('a', { href: url, target: '_blank' }).click();
      return null;
    },
  },
  {
    name: 'navigate',
    kind: 'windows',
    leaves: true,
    reach({ url }) {
      location.href = url;
      return null;
    },
  },
  {
    name: 'anchor',
    kind: 'windows',
    leaves: true,
    reach({ url }) {
      place('a', { href: url }).click();
      return null;
    },
  },
  {
    name: 'refresh',
    kind: 'windows',
    leaves: true,
    reach({ url }) {
      const meta = document.createElement('meta');
      meta.httpEquiv = 'refresh';
      meta.content = `0; url=${url}`;
      document.head.append(meta);
      return null;
    },
  },
  {
    name: 'form-post',
    kind: 'windows',
    leaves: true,
    reach({ url }) {
      place('form', { action: url, method: 'post' }).submit();
      return null;
    },
  },
  {
    name: 'form-to-new-window',
    kind: 'windows',
    leaves: true,
    reach({ url }) {
      place('form', { action: url, target: '_blank' }).submit();
      return null;
    },
  },
  {
    name: 'script-address',
    kind: 'windows',
    leaves: true,
    reach: ({ url }) =>
      new Promise((resolve) => {
        addEventListener('hearthlend-ran', () => resolve('its script ran'));
        location.href = `javascript:void dispatchEvent(new Event('hearthlend-ran'), '${url}')`;
      }),
  },
  { name: 'evaluate-text', kind: 'windows', reach: () => `${new Function('return "text ran as code"')()}` },
  {
    name: 'inline-script',
    kind: 'windows',
    reach() {
      const script = document.createElement('script');
      script.textContent = 'globalThis.hearthlendInline = true';
      document.documentElement.append(script);
      return 'hearthlendInline' in globalThis ? 'text ran as code' : null;
    },
  },
  {
    name: 'worker',
    kind: 'windows',
    reach: ({ url }) => answered(new Worker(blobOf(`fetch('${url}', { mode: 'no-cors' }).catch(() => 0); postMessage('up')`))),
  },
  {
    name: 'shared-worker',
    kind: 'windows',
    reach({ url }) {
      const worker = new SharedWorker(
        blobOf(`onconnect = ({ ports: [port] }) => { fetch('${url}', { mode: 'no-cors' }).catch(() => 0); port.postMessage('up'); }`),
      );
      worker.port.start();
      return answered(worker.port, worker);
    },
  },
  {
    name: 'service-worker',
    kind: 'windows',
    reach: () => navigator.serviceWorker.register('/service-worker.js').then(() => 'a service worker is registered'),
  },
];

function blobOf(code: string): string {
  return URL.createObjectURL(new Blob([code], { type: 'text/javascript' }));
}

function answered(port: EventTarget, failing: EventTarget = port): Promise<string> {
  return new Promise((resolve, reject) => {
    port.addEventListener('message', () => resolve('a worker runs'));
    failing.addEventListener('error', () => reject(new Error('the worker failed to load')));
  });
}
