import { EventEmitter } from 'node:events';

type Permission = Parameters<Parameters<Electron.Session['setPermissionRequestHandler']>[0] & object>[1];
type RequestHandler = Parameters<Electron.Session['setPermissionRequestHandler']>[0];
type CheckHandler = Parameters<Electron.Session['setPermissionCheckHandler']>[0];
type DeviceHandler = Parameters<Electron.Session['setDevicePermissionHandler']>[0];
type BeforeRequest = (details: Electron.OnBeforeRequestListenerDetails, callback: (response: Electron.CallbackResponse) => void) => void;

/** Chromium's permissions by Electron's names, with those that Playwright grants. */
const PERMISSIONS: Partial<Record<Permission, string>> = {
  'clipboard-sanitized-write': 'clipboard-write',
  'clipboard-read': 'clipboard-read',
  geolocation: 'geolocation',
  notifications: 'notifications',
  media: 'camera',
  midi: 'midi',
};

/** What a page may do, as the program under test says. */
export class FakeSession
  extends EventEmitter
  implements Pick<Electron.Session, 'setPermissionRequestHandler' | 'setPermissionCheckHandler' | 'setDevicePermissionHandler'>
{
  #request: RequestHandler = null;
  #check: CheckHandler = null;
  #device: DeviceHandler = null;
  #before: BeforeRequest | undefined;

  setPermissionRequestHandler(handler: RequestHandler): void {
    this.#request = handler;
  }
  setPermissionCheckHandler(handler: CheckHandler): void {
    this.#check = handler;
  }
  setDevicePermissionHandler(handler: DeviceHandler): void {
    this.#device = handler;
  }
  webRequest = {
    onBeforeRequest: (listener: BeforeRequest): void => {
      this.#before = listener;
    },
  };

  /** What a page at `address` is granted: what both handlers allow; without handlers everything, as in Electron. */
  granted(address: string): string[] {
    if (this.#device?.({} as Electron.DevicePermissionHandlerHandlerDetails) ?? true) throw new Error('devices are open to pages');
    return Object.entries(PERMISSIONS)
      .filter(([permission]) => {
        let asked = this.#request === null;
        this.#request?.(
          {} as Electron.WebContents,
          permission as Permission,
          (allowed) => {
            asked = allowed;
          },
          { requestingUrl: address, isMainFrame: true } as Electron.PermissionRequest,
        );
        const checked = this.#check?.(null, permission as Permission, address, {} as Electron.PermissionCheckHandlerHandlerDetails) ?? true;
        return asked && checked;
      })
      .map(([, name]) => name);
  }

  cancels(url: string): boolean {
    let cancelled = false;
    this.#before?.({ url } as Electron.OnBeforeRequestListenerDetails, ({ cancel }) => {
      cancelled = cancel === true;
    });
    return cancelled;
  }
}
