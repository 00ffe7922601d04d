import { z } from 'zod';

const Coordinate = z.int().min(-100_000).max(100_000);
const Size = z.int().min(1).max(100_000);

/** What the desktop shell remembers between two starts, in desktop.json of the data folder. In pixels that don't depend on the display's scale. */
export const Remembered = z.strictObject({
  bounds: z.strictObject({ x: Coordinate, y: Coordinate, width: Size, height: Size }).nullable().default(null),
  maximized: z.boolean().default(false),
  /** Whether it has been said that closing the window doesn't stop anything. */
  toldStillHere: z.boolean().default(false),
});
export type Remembered = z.infer<typeof Remembered>;

export interface Rectangle {
  x: number;
  y: number;
  width: number;
  height: number;
}

export const SMALLEST = { width: 360, height: 480 };
const USUAL = { width: 1180, height: 820 };
/** So much of the window's upper edge has to be on a display for a person to take hold of it. */
const GRIP = { width: 120, height: 32 };

/**
 * Where the window opens: as it was, where a display still shows enough of it, else in the middle of the first one. Never larger than the
 * display it is on. `workAreas`: what displays leave to windows, the primary one first.
 */
export function placeWindow(remembered: Rectangle | null, workAreas: readonly Rectangle[]): Rectangle {
  const fitted = (area: Rectangle) => ({
    width: Math.min(area.width, Math.max(SMALLEST.width, (remembered ?? USUAL).width)),
    height: Math.min(area.height, Math.max(SMALLEST.height, (remembered ?? USUAL).height)),
  });
  const home =
    remembered === null
      ? undefined
      : workAreas.find((area) => covers(area, { ...remembered, width: fitted(area).width, height: GRIP.height }));
  const area = home ?? workAreas[0];
  if (area === undefined) return { x: 0, y: 0, ...USUAL };
  const { width, height } = fitted(area);
  if (home !== undefined && remembered !== null) return { x: remembered.x, y: remembered.y, width, height };
  return {
    x: area.x + Math.round((area.width - width) / 2),
    y: area.y + Math.round((area.height - height) / 2),
    width,
    height,
  };
}

/** Whether enough of the grip lies on the area. */
function covers(area: Rectangle, grip: Rectangle): boolean {
  const across = Math.min(area.x + area.width, grip.x + grip.width) - Math.max(area.x, grip.x);
  const down = Math.min(area.y + area.height, grip.y + grip.height) - Math.max(area.y, grip.y);
  return across >= GRIP.width && down >= GRIP.height;
}
