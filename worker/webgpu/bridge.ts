import type { GivenFile, PageMessage } from '../../core/contract/gpu-window.ts';

/**
 * Runs in a world of its own beside the page, which sees nothing of it but the one end of a port: what the browser's driver hands over here goes
 * to the page as messages, and what the page says leaves as text. A file comes in as one that was chosen in a file field: nothing is asked of a network.
 */
declare global {
  /** The driver's ear. */
  var hearthlendSays: (text: string) => void;
  var hearthlendFiles: HTMLInputElement;
  var hearthlendGive: (message: string, paths: readonly string[], text: string | null) => Promise<void>;
}

interface Base64 {
  fromBase64(text: string): Uint8Array<ArrayBuffer>;
}

const { port1, port2 } = new MessageChannel();
port1.onmessage = ({ data }: MessageEvent) => {
  hearthlendSays(data instanceof Uint8Array ? (data as unknown as { toBase64(): string }).toBase64() : JSON.stringify(data));
};
addEventListener('load', () => postMessage('port', '*', [port2]));

globalThis.hearthlendFiles = document.createElement('input');
hearthlendFiles.type = 'file';
hearthlendFiles.multiple = true;

/** `paths`: what the chosen files are, in their order; a path of '' is the message's body, or its WebAssembly. `text`: a short body in base64. */
globalThis.hearthlendGive = async (json, paths, text) => {
  const chosen = [...(hearthlendFiles.files ?? [])];
  const files: GivenFile[] = [];
  let body: ArrayBuffer | null = text === null ? null : (Uint8Array as unknown as Base64).fromBase64(text).buffer;
  for (const [at, path] of paths.entries()) {
    const bytes = await (chosen[at] as File).arrayBuffer();
    if (path === '') body = bytes;
    else files.push({ path, bytes });
  }
  hearthlendFiles.value = '';
  const header = JSON.parse(json);
  const message = (header.kind === 'start' ? { kind: 'start', wasm: body } : { ...header, body, files }) as PageMessage;
  port1.postMessage(message, [...(body === null ? [] : [body]), ...files.map(({ bytes }) => bytes)]);
};
