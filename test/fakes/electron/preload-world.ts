/**
 * The page's half of a preload, as scripts. A preload runs in a world of its own beside the page's, with the same document and other globals;
 * the two worlds can only meet in the document's events, in text.
 */

/** In the preload's world: `require('electron')` with ipcRenderer over the binding `__toMain`, and contextBridge. */
export const PRELOAD_WORLD = `(() => {
  if (window !== window.top) return;
  const channels = new Map();
  const ipcRenderer = {
    once: (channel, listener) => ipcRenderer.on(channel, listener),
    on: (channel, listener) => { channels.set(channel, [...(channels.get(channel) ?? []), listener]); return ipcRenderer; },
    send: (channel, ...args) => __toMain(JSON.stringify({ channel, args })),
  };
  globalThis.__fromMain = (channel, args) => { for (const listener of channels.get(channel) ?? []) listener({ senderId: 0 }, ...args); };
  // A port of the main process: its far end is here, and what goes through it goes as text.
  globalThis.__openPort = (channel, id) => {
    const { port1, port2 } = new MessageChannel();
    globalThis['__port' + id] = port1;
    port1.onmessage = ({ data }) => {
      const sent = data instanceof Uint8Array ? { bytes: data.toBase64() } : { value: data };
      __toMain(JSON.stringify({ channel: '__port' + id, args: [sent] }));
    };
    for (const listener of channels.get(channel) ?? []) listener({ senderId: 0, ports: [port2] });
  };
  globalThis.__toPort = (id, message, bytes) => {
    if (bytes !== null) message.bytes = Uint8Array.fromBase64(bytes).buffer;
    globalThis['__port' + id].postMessage(message);
  };
  const tell = (name, detail) => document.dispatchEvent(new CustomEvent(name, { detail: JSON.stringify(detail) }));
  const exposed = new Map();
  const contextBridge = {
    exposeInMainWorld: (key, api) => {
      exposed.set(key, api);
      tell('stand-in:expose', { key, methods: Object.keys(api) });
    },
  };
  document.addEventListener('stand-in:world', () => {
    for (const [key, api] of exposed) tell('stand-in:expose', { key, methods: Object.keys(api) });
  });
  document.addEventListener('stand-in:call', ({ detail }) => {
    const { key, method, args } = JSON.parse(detail);
    exposed.get(key)[method](...args.map((arg) =>
      arg && typeof arg === 'object' && '__function' in arg ? (...values) => tell('stand-in:callback', { id: arg.__function, values }) : arg));
  });
  globalThis.require = (name) => {
    if (name !== 'electron') throw new Error('a sandboxed preload requires electron alone, not ' + name);
    return { ipcRenderer, contextBridge };
  };
})();`;

/** In the page's world: what was exposed, with functions in both directions. */
export const PAGE_WORLD = `(() => {
  if (window !== window.top) return;
  const callbacks = [];
  const pack = (value) => {
    if (typeof value === 'function') return { __function: callbacks.push(value) - 1 };
    return structuredClone(value);
  };
  document.addEventListener('stand-in:expose', ({ detail }) => {
    const { key, methods } = JSON.parse(detail);
    if (key in window) return;
    const api = {};
    for (const method of methods) {
      api[method] = (...args) => void document.dispatchEvent(
        new CustomEvent('stand-in:call', { detail: JSON.stringify({ key, method, args: args.map(pack) }) }));
    }
    Object.defineProperty(window, key, { value: Object.freeze(api), enumerable: true });
  });
  document.addEventListener('stand-in:callback', ({ detail }) => {
    const { id, values } = JSON.parse(detail);
    callbacks[id](...values);
  });
  document.dispatchEvent(new CustomEvent('stand-in:world'));
})();`;
