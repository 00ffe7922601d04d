/** What a process needs to compute on the GPU: Chromium's own GPU process (sandbox/policy/mac/gpu.sb), without its windows, video and sound. */
const METAL = [
  '; the GPU through Metal: its drivers, and the service that compiles for it',
  '(allow iokit-open (iokit-connection "IOAccelerator") (iokit-user-client-class "AGXDeviceUserClient")',
  '  (iokit-user-client-class "AGXSharedUserClient") (iokit-user-client-class "AGPMClient") (iokit-user-client-class "IOAccelerationUserClient")',
  '  (iokit-user-client-class "IOSurfaceRootUserClient") (iokit-user-client-class "IOSurfaceSendRight"))',
  '(allow iokit-get-properties)',
  '(allow mach-lookup (xpc-service-name "com.apple.MTLCompilerService") (global-name "com.apple.gpumemd.source") (global-name "com.apple.cvmsServ"))',
  '(allow sysctl-read (sysctl-name "kern.osvariant_status"))',
  '(allow file-read* (subpath "/Library/GPUBundles"))',
];

/**
 * The profile for macOS' sandbox-exec, in its Scheme dialect: everything is denied that isn't listed. What a bare Node needs of the system
 * follows the rules that Chromium (sandbox/policy/mac/common.sb) and Nix (sandbox-defaults.sb) give their own processes.
 */
export function seatbeltProfile(allow: { executable: string; reads: string[]; metal?: boolean }): string {
  const folders = new Set(allow.reads.concat(allow.executable).flatMap(ancestors));
  return [
    '(version 1)',
    '(deny default)',
    '; no network, no other program, no other process: nothing of theirs is listed below',
    `(allow process-exec (literal ${quote(allow.executable)}))`,
    '(allow signal (target self))',
    '(allow process-info* (target self))',
    '; the system libraries, which every program maps',
    '(allow file-read* (subpath "/usr/lib") (subpath "/System/Library") (subpath "/System/Volumes/Preboot/Cryptexes/OS") (literal "/"))',
    '(allow file-map-executable (subpath "/usr/lib") (subpath "/System/Library") (subpath "/System/Volumes/Preboot/Cryptexes/OS"))',
    '(allow file-read* file-write-data (literal "/dev/null") (literal "/dev/zero"))',
    '(allow file-read* (literal "/dev/random") (literal "/dev/urandom"))',
    '; how many cores and how much memory there are',
    '(allow sysctl-read (sysctl-name-prefix "hw.") (sysctl-name-prefix "kern.os") (sysctl-name-prefix "machdep.cpu."))',
    '(allow sysctl-read (sysctl-name "kern.version") (sysctl-name "kern.maxfilesperproc") (sysctl-name "vm.loadavg"))',
    "; Hearthlend's own files",
    `(allow file-read* file-map-executable ${[allow.executable, ...allow.reads].map((path) => `(subpath ${quote(path)})`).join(' ')})`,
    "; that the folders above them exist, not what is in them: Node resolves its script's path step by step",
    `(allow file-read-metadata ${[...folders].map((path) => `(literal ${quote(path)})`).join(' ')})`,
    ...(allow.metal === true ? METAL : []),
    '',
  ].join('\n');
}

/** /a/b/c → /a, /a/b */
function ancestors(path: string): string[] {
  const parts = path.split('/').slice(1, -1);
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`);
}

/** A string literal of the profile's language. A path with a control character is no path of ours. */
function quote(path: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(path)) throw new TypeError(`no path for a profile: ${JSON.stringify(path)}`);
  return `"${path.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
