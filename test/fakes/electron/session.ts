import { EventEmitter } from 'node:events';

type Permission = Parameters<Parameters<Electron.Session['setPermissionRequestHandler']>[0] & object>[1];
type RequestHandler = Parameters<Electron.Session['setPermissionRequestHandler']>[0];
type CheckHandler = Parameters<Electron.Session['setPermissionCheckHandler']>[0];
type DeviceHandler = Parameters<Electron.Session['setDevicePermissionHandler']>[0];
type DisplayHandler = Parameters<Electron.Session['setDisplayMediaRequestHandler']>[0];
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
  implements
    Pick<
      Electron.Session,
      'setPermissionRequestHandler' | 'setPermissionCheckHandler' | 'setDevicePermissionHandler' | 'setDisplayMediaRequestHandler'
    >
{
  #request: RequestHandler = null;
  #check: CheckHandler = null;
  #device: DeviceHandler = null;
  #display: DisplayHandler = null;
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
  setDisplayMediaRequestHandler(handler: DisplayHandler): void {
    this.#display = handler;
  }
  readonly served = new Map<string, (request: Request) => Response | Promise<Response>>();
  protocol = {
    handle: (scheme: string, handler: (request: Request) => Response | Promise<Response>): void => void this.served.set(scheme, handler),
  };
  offline = false;
  enableNetworkEmulation({ offline = false }: Electron.EnableNetworkEmulationOptions): void {
    this.offline = offline;
  }
  webRequest = {
    onBeforeRequest: (listener: BeforeRequest): void => {
      this.#before = listener;
    },
  };

  /** What a page at `address` is granted, by the names that Playwright knows. */
  granted(address: string): string[] {
    return Object.entries(PERMISSIONS)
      .filter(([permission]) => this.asks(permission as Permission, address) && this.checks(permission as Permission, address))
      .map(([, name]) => name);
  }

  /** What the handler for requests says; without one yes, as in Electron. */
  asks(permission: Permission, address: string): boolean {
    let granted = this.#request === null;
    const answer = (allowed: boolean) => {
      granted = allowed;
    };
    const details = { requestingUrl: address, isMainFrame: true } as Electron.PermissionRequest;
    this.#request?.({} as Electron.WebContents, permission, answer, details);
    return granted;
  }
  checks(permission: Permission, address: string): boolean {
    return this.#check?.(null, permission, address, {} as Electron.PermissionCheckHandlerHandlerDetails) ?? true;
  }
  device(): boolean {
    return this.#device?.({} as Electron.DevicePermissionHandlerHandlerDetails) ?? true;
  }
  /** Whether a page gets a picture of the screen. */
  display(): boolean {
    let granted = false;
    this.#display?.({} as Electron.DisplayMediaRequestHandlerHandlerRequest, (streams) => {
      granted = streams !== null;
    });
    return granted;
  }

  cancels(url: string): boolean {
    let cancelled = false;
    this.#before?.({ url } as Electron.OnBeforeRequestListenerDetails, ({ cancel }) => {
      cancelled = cancel === true;
    });
    return cancelled;
  }
}
