// Tells what the rest of this Mac is doing, in JSON lines (core/policy/signals/watcher-lines.ts has their schema), until its parent is gone.
// JavaScript for Automation, run by osascript. Nothing is written anywhere and nothing is changed.
ObjC.import('AppKit');
ObjC.import('CoreGraphics');
ObjC.import('IOKit');
ObjC.import('unistd');

ObjC.bindFunction('IOPSCopyPowerSourcesInfo', ['id', []]);
ObjC.bindFunction('IOPSGetProvidingPowerSourceType', ['id', ['id']]);
ObjC.bindFunction('IOPSCopyPowerSourcesList', ['id', ['id']]);
ObjC.bindFunction('IOPSGetPowerSourceDescription', ['id', ['id', 'id']]);
ObjC.bindFunction('CGEventSourceSecondsSinceLastEventType', ['double', ['int', 'uint']]);
ObjC.bindFunction('CGSessionCopyCurrentDictionary', ['id', []]);
ObjC.bindFunction('CGWindowListCopyWindowInfo', ['id', ['uint', 'uint']]);

/** Null where the system doesn't tell. */
function quietly(ask) {
  try {
    const told = ask();
    return told === undefined ? null : told;
  } catch (_) {
    return null;
  }
}

// kCGEventSourceStateHIDSystemState, kCGAnyInputEventType
const idleMs = () => Math.round($.CGEventSourceSecondsSinceLastEventType(1, 0xffffffff) * 1000);

const locked = () => {
  const session = ObjC.deepUnwrap($.CGSessionCopyCurrentDictionary());
  return session ? Boolean(session.CGSSessionScreenIsLocked) : null;
};

const power = () => {
  const info = $.IOPSCopyPowerSourcesInfo();
  const source = ObjC.unwrap($.IOPSGetProvidingPowerSourceType(info));
  const described = (ObjC.unwrap($.IOPSCopyPowerSourcesList(info)) || []).map((each) =>
    ObjC.deepUnwrap($.IOPSGetPowerSourceDescription(info, each)),
  );
  const battery = described.find((each) => each && each.Type === 'InternalBattery');
  const percent = battery && battery['Max Capacity'] > 0 ? (100 * battery['Current Capacity']) / battery['Max Capacity'] : null;
  if (source !== 'AC Power' && source !== 'Battery Power' && source !== 'UPS Power') return null;
  return { source: source === 'AC Power' ? 'mains' : 'battery', percent };
};

const front = () => $.NSWorkspace.sharedWorkspace.frontmostApplication;

/** The program in front, where one of its windows is as large as a screen. */
const fullScreen = () => {
  const pid = front().processIdentifier;
  const frames = ObjC.unwrap($.NSScreen.screens).map((screen) => screen.frame.size);
  // On screen only, without the desktop's own.
  const windows = ObjC.deepUnwrap($.CGWindowListCopyWindowInfo(1 | 16, 0)) || [];
  const fills = windows.some(
    (each) =>
      each.kCGWindowOwnerPID === pid &&
      each.kCGWindowLayer === 0 &&
      frames.some(({ width, height }) => each.kCGWindowBounds.Width >= width && each.kCGWindowBounds.Height >= height),
  );
  return fills ? { name: ObjC.unwrap(front().localizedName) } : null;
};

/** Programs with a window or a menu; games have one. By the file that is run, and the name that people read. */
const programs = () =>
  ObjC.unwrap($.NSWorkspace.sharedWorkspace.runningApplications).flatMap((each) => {
    const url = each.executableURL;
    const name = url.isNil() ? ObjC.unwrap(each.localizedName) : ObjC.unwrap(url.lastPathComponent);
    return name ? [[each.processIdentifier, name]] : [];
  });

const stdout = $.NSFileHandle.fileHandleWithStandardOutput;
function tell(line) {
  const text = $.NSString.alloc.initWithUTF8String(`${JSON.stringify(line)}\n`);
  stdout.writeData(text.dataUsingEncoding($.NSUTF8StringEncoding));
}

const parent = $.getppid();
let known = new Map();
// An orphan's parent is another.
while ($.getppid() === parent) {
  const now = new Map(quietly(programs) || []);
  tell({
    idleMs: quietly(idleMs),
    locked: quietly(locked),
    power: quietly(power),
    fullScreen: quietly(fullScreen),
    started: [...now].filter(([pid, name]) => known.get(pid) !== name),
    ended: [...known.keys()].filter((pid) => !now.has(pid)),
  });
  known = now;
  // What the workspace knows is brought up to date by its run loop alone.
  $.NSRunLoop.currentRunLoop.runUntilDate($.NSDate.dateWithTimeIntervalSinceNow(1));
}
