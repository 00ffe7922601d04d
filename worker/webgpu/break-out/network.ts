import { member, place, settled, type WayOut } from './way.ts';

const link = (name: string, attributes: Record<string, string>): WayOut => ({
  name,
  kind: 'network',
  reach: ({ url }) => settled(place('link', { href: url, ...attributes })),
});
const media = (tag: 'audio' | 'video' | 'embed' | 'iframe' | 'script' | 'img' | 'track', name: string): WayOut => ({
  name,
  kind: 'network',
  reach: ({ url }) => settled(place(tag, { src: url })),
});

/** Ways to send something to an address, or to have the browser do so. */
export const networkWays: WayOut[] = [
  { name: 'fetch', kind: 'network', reach: ({ url }) => fetch(url).then(() => null) },
  { name: 'fetch-no-cors', kind: 'network', reach: ({ url }) => fetch(url, { mode: 'no-cors' }).then(() => null) },
  {
    name: 'fetch-keepalive',
    kind: 'network',
    reach: ({ url }) => fetch(url, { method: 'POST', mode: 'no-cors', keepalive: true }).then(() => null),
  },
  {
    name: 'fetch-later',
    kind: 'network',
    reach({ url }) {
      member<(url: string, options: object) => unknown>('fetchLater')(url, { activateAfter: 0, mode: 'no-cors' });
      return null;
    },
  },
  {
    name: 'xml-http-request',
    kind: 'network',
    reach: ({ url }) =>
      new Promise((resolve) => {
        const request = new XMLHttpRequest();
        request.addEventListener('loadend', () => resolve(null));
        request.open('GET', url);
        request.send();
      }),
  },
  {
    name: 'web-socket',
    kind: 'network',
    reach: ({ url }) =>
      new Promise((resolve) => {
        new WebSocket(url.replace('http', 'ws')).addEventListener('close', () => resolve(null));
      }),
  },
  {
    name: 'event-source',
    kind: 'network',
    reach: ({ url }) =>
      new Promise((resolve) => {
        const source = new EventSource(url);
        source.addEventListener('error', () => {
          source.close();
          resolve(null);
        });
      }),
  },
  {
    name: 'send-beacon',
    kind: 'network',
    reach({ url }) {
      navigator.sendBeacon(url, 'a beacon');
      return null;
    },
  },
  {
    name: 'image',
    kind: 'network',
    reach({ url }) {
      const image = new Image();
      image.src = url;
      return settled(image);
    },
  },
  media('img', 'image-element'),
  media('audio', 'audio'),
  media('video', 'video'),
  media('embed', 'embed'),
  { ...media('iframe', 'iframe'), alone: true },
  { name: 'object', kind: 'network', reach: ({ url }) => settled(place('object', { data: url })) },
  {
    name: 'video-poster',
    kind: 'network',
    reach({ url }) {
      place('video', { poster: url });
      return null;
    },
  },
  {
    name: 'svg-image',
    kind: 'network',
    reach({ url }) {
      const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
      const image = document.createElementNS('http://www.w3.org/2000/svg', 'image');
      image.setAttribute('href', url);
      svg.append(image);
      document.documentElement.append(svg);
      return settled(image);
    },
  },
  {
    name: 'script-element',
    kind: 'network',
    reach({ url }) {
      const script = document.createElement('script');
      script.src = url;
      document.documentElement.append(script);
      return settled(script);
    },
  },
  {
    name: 'module-script',
    kind: 'network',
    reach({ url }) {
      const script = document.createElement('script');
      script.type = 'module';
      script.src = url;
      document.documentElement.append(script);
      return settled(script);
    },
  },
  link('style-sheet', { rel: 'stylesheet' }),
  link('preload', { rel: 'preload', as: 'script' }),
  link('module-preload', { rel: 'modulepreload' }),
  link('prefetch', { rel: 'prefetch' }),
  { ...link('manifest', { rel: 'manifest' }), alone: true },
  {
    name: 'style-import',
    kind: 'network',
    alone: true,
    reach({ url }) {
      place('style', {}).textContent = `@import url(${url});`;
      return null;
    },
  },
  {
    name: 'style-background',
    kind: 'network',
    reach({ url }) {
      const box = place('div', {});
      box.style.backgroundImage = `url(${url})`;
      box.style.width = '10px';
      box.style.height = '10px';
      return null;
    },
  },
  { name: 'font', kind: 'network', reach: ({ url }) => new FontFace('out', `url(${url})`).load().then(() => null) },
  {
    name: 'speculation-rules',
    kind: 'network',
    reach({ url }) {
      const rules = document.createElement('script');
      rules.type = 'speculationrules';
      rules.textContent = JSON.stringify({ prefetch: [{ source: 'list', urls: [url], eagerness: 'immediate' }] });
      document.head.append(rules);
      return null;
    },
  },
  {
    name: 'audio-worklet',
    kind: 'network',
    reach: ({ url }) => new OfflineAudioContext(1, 1, 44_100).audioWorklet.addModule(url).then(() => null),
  },
  {
    name: 'paint-worklet',
    kind: 'network',
    reach: ({ url }) =>
      member<{ addModule(url: string): Promise<void> }>('CSS.paintWorklet')
        .addModule(url)
        .then(() => null),
  },
  {
    name: 'anchor-ping',
    kind: 'network',
    alone: true,
    reach({ url }) {
      place('a', { href: '#', ping: url }).click();
      return null;
    },
  },
  {
    name: 'preconnect',
    kind: 'network',
    alone: true,
    reach({ connectUrl }) {
      place('link', { rel: 'preconnect', href: connectUrl, crossorigin: '' });
      return null;
    },
  },
  {
    name: 'web-transport',
    kind: 'network',
    alone: true,
    reach: ({ port }) => new WebTransport(`https://127.0.0.1:${port}/`).ready.then(() => null),
  },
  { name: 'webrtc-stun', kind: 'network', alone: true, reach: ({ port }) => gather({ urls: `stun:127.0.0.1:${port}` }) },
  {
    name: 'webrtc-turn',
    kind: 'network',
    alone: true,
    reach: ({ port }) => gather({ urls: `turn:127.0.0.1:${port}?transport=tcp`, username: 'out', credential: 'out' }),
  },
];

/** Has WebRTC look for ways to reach this machine from outside, by asking a server. */
async function gather(server: RTCIceServer): Promise<null> {
  const connection = new RTCPeerConnection({ iceServers: [server] });
  connection.createDataChannel('out');
  await connection.setLocalDescription(await connection.createOffer());
  return null;
}
