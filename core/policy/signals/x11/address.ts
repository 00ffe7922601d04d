/** Where an X server listens: a Unix socket of this machine. */
export interface DisplayAddress {
  display: number;
  screen: number;
}

/**
 * The display that DISPLAY names, where it is on this machine; null for one that is reached over a network (ssh -X): whoever sits there doesn't
 * sit here.
 */
export function parseDisplay(text: string): DisplayAddress | null {
  const match = /^(?:unix)?:(\d{1,5})(?:\.(\d{1,3}))?$/.exec(text.trim());
  return match === null ? null : { display: Number(match[1]), screen: Number(match[2] ?? 0) };
}

export function displaySocket({ display }: DisplayAddress): string {
  return `/tmp/.X11-unix/X${display}`;
}

const COOKIE = 'MIT-MAGIC-COOKIE-1';
/** Xauthority's address families. Source: Xauth.h */
const FAMILY_LOCAL = 256;
const FAMILY_WILD = 65_535;

/**
 * The cookie for a display out of an Xauthority file (entries of a family and four length-prefixed, big-endian fields); null where it has none
 * for it. What can't be an entry ends the reading.
 */
export function findCookie(file: Uint8Array, hostname: string, { display }: DisplayAddress): Uint8Array | null {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const text = new TextDecoder();
  let at = 0;
  let wild: Uint8Array | null = null;
  while (at + 2 <= file.byteLength) {
    const family = view.getUint16(at);
    at += 2;
    const fields: Uint8Array[] = [];
    for (let field = 0; field < 4; field += 1) {
      if (at + 2 > file.byteLength) return wild;
      const length = view.getUint16(at);
      if (at + 2 + length > file.byteLength) return wild;
      fields.push(file.subarray(at + 2, at + 2 + length));
      at += 2 + length;
    }
    const [address, number, name, data] = fields.map((field, index) => (index === 3 ? field : text.decode(field)));
    // An empty number stands for every display of its host.
    if (name !== COOKIE || (number !== '' && number !== String(display))) continue;
    if (family === FAMILY_LOCAL && address === hostname) return data as Uint8Array;
    if (family === FAMILY_WILD) wild ??= data as Uint8Array;
  }
  return wild;
}
