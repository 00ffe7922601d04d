import { member, place, type WayOut } from './way.ts';

type Asks = (options?: object) => Promise<unknown>;

/** A call that asks the user, or the browser for them, for something of the machine's. */
const asks = (name: string, path: string, options?: object): WayOut => ({
  name,
  kind: 'devices',
  async reach() {
    const holder = path.slice(0, Math.max(0, path.lastIndexOf('.')));
    await member<Asks>(path).call(holder === '' ? globalThis : member<object>(holder), options);
    return 'it was given';
  },
});

/** Ways to the machine's devices, its clipboard, its files and its user. */
export const deviceWays: WayOut[] = [
  asks('clipboard-read', 'navigator.clipboard.readText'),
  {
    name: 'clipboard-write',
    kind: 'devices',
    async reach() {
      await navigator.clipboard.writeText('out');
      return 'it was written';
    },
  },
  {
    name: 'clipboard-copy',
    kind: 'devices',
    reach() {
      const field = place('textarea', {});
      field.value = 'out';
      field.select();
      return document.execCommand('copy') ? 'it was written' : null;
    },
  },
  asks('camera', 'navigator.mediaDevices.getUserMedia', { video: true }),
  asks('microphone', 'navigator.mediaDevices.getUserMedia', { audio: true }),
  asks('screen-capture', 'navigator.mediaDevices.getDisplayMedia', { video: true }),
  {
    name: 'geolocation',
    kind: 'devices',
    reach: () =>
      new Promise((resolve, reject) => {
        navigator.geolocation.getCurrentPosition(
          () => resolve('a position was given'),
          ({ message }) => reject(new Error(message)),
        );
      }),
  },
  {
    name: 'notification',
    kind: 'devices',
    reach: async () => ((await Notification.requestPermission()) === 'granted' ? 'it may notify' : null),
  },
  asks('usb', 'navigator.usb.requestDevice', { filters: [] }),
  asks('hid', 'navigator.hid.requestDevice', { filters: [] }),
  asks('serial', 'navigator.serial.requestPort'),
  asks('bluetooth', 'navigator.bluetooth.requestDevice', { acceptAllDevices: true }),
  asks('midi', 'navigator.requestMIDIAccess'),
  asks('local-fonts', 'queryLocalFonts'),
  asks('wake-lock', 'navigator.wakeLock.request'),
  asks('open-file-picker', 'showOpenFilePicker'),
  asks('save-file-picker', 'showSaveFilePicker'),
  asks('folder-picker', 'showDirectoryPicker'),
  {
    name: 'idle-detection',
    kind: 'devices',
    reach: async () =>
      (await member<{ requestPermission(): Promise<string> }>('IdleDetector').requestPermission()) === 'granted' ? 'it may watch' : null,
  },
  {
    name: 'full-screen',
    kind: 'devices',
    async reach() {
      await document.documentElement.requestFullscreen();
      return 'it took the screen';
    },
  },
  {
    name: 'pointer-lock',
    kind: 'devices',
    async reach() {
      await document.documentElement.requestPointerLock();
      return 'it took the pointer';
    },
  },
  {
    name: 'download',
    kind: 'files',
    leaves: true,
    reach({ url }) {
      place('a', { href: url, download: 'out.txt' }).click();
      return null;
    },
  },
  {
    name: 'local-file',
    kind: 'files',
    reach: ({ file }) => fetch(file).then((answer) => `it read ${answer.status}`),
  },
  {
    name: 'local-file-frame',
    kind: 'files',
    reach: ({ file }) => {
      const frame = place('iframe', { src: file });
      return new Promise((resolve) => {
        frame.addEventListener('load', () => resolve(frame.contentDocument?.body.textContent ? 'it read the file' : null));
      });
    },
  },
];
