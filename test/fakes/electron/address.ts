const STAND_IN = /^https:\/\/([^/.]+)\.([a-z]+)\.stand-in(\/.*)?$/;

/** Chromium serves no scheme that was not compiled into it: `app://host/x` is `https://host.app.stand-in/x` to the page. */
export function toPage(url: string): string {
  return url.replace(/^(app):\/\/([^/]+)/, 'https://$2.$1.stand-in');
}

export function fromPage(url: string): string {
  const match = STAND_IN.exec(url);
  return match === null ? url : `${match[2]}://${match[1]}${match[3] ?? '/'}`;
}
