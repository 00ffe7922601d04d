import type { Desktop } from './desktop.ts';
import { until } from './desktop.ts';

interface Question {
  message: string;
  detail: string;
  buttons: string[];
}

/** What the app has had Electron show since this was called, recorded in its own process: Electron itself doesn't tell. */
export interface Shown {
  /** Waits for as many questions, and takes them. Each is answered with its first button. */
  questions(count: number): Promise<Question[]>;
  notifications(): Promise<string[]>;
  /** How often a window was brought to the front. */
  focuses(): Promise<number>;
  /** Labels of the tray's menu, folders unfolded; empty until it was drawn anew. */
  menu(): Promise<string[]>;
  tip(): Promise<string>;
  /** Presses an entry of the tray's menu, once there is such an entry. */
  press(label: string): Promise<void>;
  clickTray(): Promise<void>;
  /** What the system was last told about start at login. */
  loginItem(): Promise<{ openAtLogin?: boolean; args?: string[] } | null>;
}

interface Recorded {
  questions: Question[];
  notifications: string[];
  focuses: number;
  template: Electron.MenuItemConstructorOptions[];
  tip: string;
  click(): void;
  loginItem: Electron.Settings | null;
}

/** Records from now on. `notifications`: whether the system is to have any. */
export async function watchShown(desktop: Desktop, { notifications = true } = {}): Promise<Shown> {
  await desktop.evaluate(({ app, dialog, BrowserWindow, Menu, Notification, Tray }, supported) => {
    const recorded: Recorded = {
      questions: [],
      notifications: [],
      focuses: 0,
      template: [],
      tip: '',
      click: () => undefined,
      loginItem: null,
    };
    Object.assign(globalThis, { recorded });
    dialog.showMessageBox = async (options: unknown) => {
      recorded.questions.push(options as Question);
      return { response: 0, checkboxChecked: false };
    };
    Notification.isSupported = () => supported;
    Notification.prototype.show = function show() {
      recorded.notifications.push(`${this.title}: ${this.body}`);
    };
    app.setLoginItemSettings = (settings) => {
      recorded.loginItem = settings;
    };
    const { focus } = BrowserWindow.prototype;
    BrowserWindow.prototype.focus = function counted() {
      recorded.focuses += 1;
      focus.call(this);
    };
    const { buildFromTemplate } = Menu;
    let depth = 0;
    Menu.buildFromTemplate = (template) => {
      // Electron builds the folders of a menu by the same function.
      if (depth === 0) recorded.template = template;
      depth += 1;
      try {
        return buildFromTemplate.call(Menu, template);
      } finally {
        depth -= 1;
      }
    };
    const { setToolTip } = Tray.prototype;
    Tray.prototype.setToolTip = function told(tip: string) {
      recorded.tip = tip;
      recorded.click = () => void this.emit('click');
      setToolTip.call(this, tip);
    };
  }, notifications);

  const menu = () =>
    desktop.evaluate(() => {
      const { template } = (globalThis as unknown as { recorded: Recorded }).recorded;
      const all = (items: Electron.MenuItemConstructorOptions[]): string[] =>
        items.flatMap((item) => [item.label ?? '', ...(Array.isArray(item.submenu) ? all(item.submenu) : [])]);
      return all(template);
    }, null);

  return {
    async questions(count) {
      const asked = () => desktop.evaluate(() => (globalThis as unknown as { recorded: Recorded }).recorded.questions.length, null);
      await until(async () => (await asked()) >= count);
      return desktop.evaluate(() => (globalThis as unknown as { recorded: Recorded }).recorded.questions.splice(0), null);
    },
    notifications: () => desktop.evaluate(() => (globalThis as unknown as { recorded: Recorded }).recorded.notifications, null),
    focuses: () => desktop.evaluate(() => (globalThis as unknown as { recorded: Recorded }).recorded.focuses, null),
    menu,
    tip: () => desktop.evaluate(() => (globalThis as unknown as { recorded: Recorded }).recorded.tip, null),
    async press(label) {
      await until(async () => (await menu()).includes(label));
      await desktop.evaluate((_electron, wanted) => {
        const { template } = (globalThis as unknown as { recorded: Recorded }).recorded;
        const all = (items: Electron.MenuItemConstructorOptions[]): Electron.MenuItemConstructorOptions[] =>
          items.flatMap((item) => [item, ...(Array.isArray(item.submenu) ? all(item.submenu) : [])]);
        const found = all(template).find((item) => item.label === wanted);
        (found?.click as (() => void) | undefined)?.();
      }, label);
    },
    clickTray: () => desktop.evaluate(() => (globalThis as unknown as { recorded: Recorded }).recorded.click(), null),
    loginItem: () => desktop.evaluate(() => (globalThis as unknown as { recorded: Recorded }).recorded.loginItem, null),
  };
}
