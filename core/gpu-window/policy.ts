/** Where the page lies. The name can't exist (RFC 6761); the browser asks its driver for it, and nobody else. */
export const PAGE_ORIGIN = 'https://gpu-window.invalid';

/** Features of a browser that a page may be refused. Names that a browser doesn't know it passes over. */
const REFUSED_FEATURES = [
  'accelerometer',
  'ambient-light-sensor',
  'autoplay',
  'battery',
  'bluetooth',
  'browsing-topics',
  'camera',
  'clipboard-read',
  'clipboard-write',
  'compute-pressure',
  'display-capture',
  'encrypted-media',
  'fullscreen',
  'gamepad',
  'geolocation',
  'gyroscope',
  'hid',
  'identity-credentials-get',
  'idle-detection',
  'keyboard-map',
  'local-fonts',
  'magnetometer',
  'microphone',
  'midi',
  'otp-credentials',
  'payment',
  'picture-in-picture',
  'publickey-credentials-create',
  'publickey-credentials-get',
  'screen-wake-lock',
  'serial',
  'speaker-selection',
  'storage-access',
  'usb',
  'web-share',
  'window-management',
  'xr-spatial-tracking',
];

/**
 * What the page may do: run its own script and WebAssembly. Sandboxed, it has an origin that is nobody's, so it stores nothing and opens no window;
 * nothing may be loaded, sent or embedded.
 */
const CONTENT_POLICY = [
  "default-src 'none'",
  `script-src ${PAGE_ORIGIN} 'wasm-unsafe-eval'`,
  "connect-src 'none'",
  "worker-src 'none'",
  "frame-src 'none'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
  'sandbox allow-scripts',
].join('; ');

/** The headers under which every file of the page is served. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': CONTENT_POLICY,
  'permissions-policy': REFUSED_FEATURES.map((feature) => `${feature}=()`).join(', '),
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'cache-control': 'no-store',
  // Its script comes from an origin that isn't its own any more.
  'access-control-allow-origin': '*',
};
