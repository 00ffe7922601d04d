import { isAbsolute, join } from 'node:path';

/** How this program is started without a window. */
export interface StartCommand {
  program: string;
  args: string[];
}

/** The command for the session to run. A checkout is Electron with the folder; an AppImage is mounted anew each time, so its file is named. */
export function startCommand(place: {
  packaged: boolean;
  execPath: string;
  appPath: string;
  dataDirOption: string | undefined;
  appImage: string | undefined;
}): StartCommand {
  const folder = place.packaged ? [] : [place.appPath];
  const data = place.dataDirOption === undefined ? [] : [`--data-dir=${place.dataDirOption}`];
  return { program: place.appImage ?? place.execPath, args: [...folder, ...data, '--hidden'] };
}

/** Where a Linux session looks for what to start. Source: XDG Desktop Application Autostart Specification 0.5. */
export function autostartPath(env: Readonly<Record<string, string | undefined>>, home: string): string {
  const config = env.XDG_CONFIG_HOME;
  return join(config !== undefined && isAbsolute(config) ? config : join(home, '.config'), 'autostart', 'hearthlend.desktop');
}

/** The file that it finds there. Quoting as in the Desktop Entry Specification 1.5, where `%` begins a field code. */
export function autostartEntry(name: string, { program, args }: StartCommand): string {
  const quoted = [program, ...args].map(
    (part) =>
      `"${part
        .replaceAll(/["`$\\]/g, '\\$&')
        .replaceAll('\\', '\\\\')
        .replaceAll('%', '%%')
        .replaceAll(/[\n\r]/g, '')}"`,
  );
  return `[Desktop Entry]\nType=Application\nName=${name}\nExec=${quoted.join(' ')}\nTerminal=false\nX-GNOME-Autostart-enabled=true\n`;
}
