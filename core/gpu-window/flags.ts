import type { IsolationLevel } from '../contract/isolation.ts';

/** Names of the agent's environment that a browser needs to start at all; nothing else of it is passed on. */
const WINDOWS_NAMES = [
  'SystemRoot',
  'windir',
  'SystemDrive',
  'ProgramFiles',
  'ProgramFiles(x86)',
  'ProgramData',
  'LOCALAPPDATA',
  'TEMP',
  'TMP',
];

/**
 * What makes a headless browser use the machine's GPU for WebGPU. On Linux it imitates one otherwise, and offers WebGPU for few drivers.
 * Source: Chrome's guide to testing WebGPU in headless Chrome on Linux. Elsewhere it uses the GPU by itself.
 */
export function gpuFlags(platform: NodeJS.Platform): readonly string[] {
  return platform === 'linux'
    ? ['--enable-unsafe-webgpu', '--enable-features=Vulkan', '--use-angle=vulkan', '--disable-vulkan-surface']
    : [];
}

/** What a browser may be told beside what every one is: for machines without a GPU, where tests let one be imitated. */
export type ExtraFlags = readonly string[];

/**
 * A browser's command line. It has a profile of its own that is thrown away, no window, no service of its maker's, and no way to find any host;
 * it is driven over a pipe that nobody else can reach. `sandbox` false is for root alone, whom Chromium refuses otherwise.
 */
export function browserFlags(profileDir: string, sandbox: boolean, extra: ExtraFlags): string[] {
  return [
    '--headless',
    '--remote-debugging-pipe',
    `--user-data-dir=${profileDir}`,
    '--no-startup-window',
    '--no-first-run',
    '--no-default-browser-check',
    ...(sandbox ? [] : ['--no-sandbox']),
    // Every name and every address leads nowhere, whoever asks.
    '--host-resolver-rules=MAP * ~NOTFOUND',
    '--webrtc-ip-handling-policy=disable_non_proxied_udp',
    '--force-webrtc-ip-handling-policy',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-domain-reliability',
    '--disable-sync',
    '--disable-default-apps',
    '--disable-extensions',
    '--disable-breakpad',
    '--disable-crash-reporter',
    '--metrics-recording-only',
    '--no-pings',
    '--deny-permission-prompts',
    '--mute-audio',
    '--disable-features=MediaRouter,OptimizationHints,Translate,DialMediaRouteProvider',
    // It is never in front.
    '--disable-background-timer-throttling',
    '--disable-backgrounding-occluded-windows',
    '--disable-renderer-backgrounding',
    ...extra,
  ];
}

/** The browser's whole environment. */
export function browserEnvironment(profileDir: string, platform: NodeJS.Platform, env: NodeJS.ProcessEnv): Record<string, string> {
  if (platform === 'win32') {
    return Object.fromEntries(WINDOWS_NAMES.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
  }
  return { HOME: profileDir, TMPDIR: profileDir, PATH: '/usr/local/bin:/usr/bin:/bin', LANG: 'C.UTF-8' };
}

/** Under what a browser started by this user runs its pages. */
export function windowLevel(uid: number | undefined): IsolationLevel {
  return uid === 0 ? 'process' : 'chromium';
}
