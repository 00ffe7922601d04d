import { describe, expect, test } from 'vitest';
import { type DetectHost, detectWall } from '../../../../core/supervisor/sandbox/detect.ts';
import type { DeviceAccess } from '../../../../core/supervisor/sandbox/device-access.ts';
import { parseLibraryList, splitLibraryList } from '../../../../core/supervisor/sandbox/libraries.ts';
import { planBare, planBubblewrap, planSandboxExec, type SandboxNeeds } from '../../../../core/supervisor/sandbox/plan.ts';
import { seatbeltProfile } from '../../../../core/supervisor/sandbox/seatbelt.ts';
import { seccompFilter } from '../../../../core/supervisor/sandbox/seccomp.ts';

const needs: SandboxNeeds = {
  nodePath: '/opt/node/bin/node',
  scriptPath: '/opt/hearthlend/dist/worker/native.mjs',
  runtimeDirs: { onnxruntimeNode: '/opt/modules/onnxruntime-node', onnxruntimeCommon: '/opt/modules/onnxruntime-common' },
  platform: 'linux',
  arch: 'x64',
  libraries: ['/lib64/ld-linux-x86-64.so.2', '/lib/x86_64-linux-gnu/libc.so.6'],
  procEntries: [
    { name: 'cpuinfo', folder: false },
    { name: 'keys', folder: false },
    { name: 'sys', folder: true },
    { name: 'acpi', folder: true },
  ],
  modelsDir: '/home/ada/.local/share/hearthlend/workers/cpu/models',
  scratchBytes: 1 << 20,
  heapMiB: 512,
  permission: true,
  device: null,
};
const best = { disableUserNamespaces: true, boundedScratch: true };
const plan = (changes: Partial<SandboxNeeds> = {}, features = best) => planBubblewrap('/usr/bin/bwrap', { ...needs, ...changes }, features);

describe('the plan for bubblewrap', () => {
  const { args, env, inside } = plan();
  const valuesOf = (option: string, count: number) =>
    args.flatMap((each, at) => (each === option ? [args.slice(at + 1, at + 1 + count)] : []));

  test('mounts the allow-list and nothing else, and none of it writable', () => {
    expect(valuesOf('--ro-bind', 2).map(([from]) => from)).toEqual([
      ...needs.libraries,
      needs.nodePath,
      needs.scriptPath,
      ...['package.json', 'dist', 'bin/napi-v6/linux/x64'].map((entry) => `/opt/modules/onnxruntime-node/${entry}`),
      ...['package.json', 'dist'].map((entry) => `/opt/modules/onnxruntime-common/${entry}`),
      needs.modelsDir,
      '/dev/null',
    ]);
    expect(valuesOf('--dev-bind', 2).map(([from]) => from)).toEqual(['/dev/null', '/dev/zero', '/dev/random', '/dev/urandom']);
    expect(args).not.toContain('--bind');
    expect(args).not.toContain('--dev');
    expect(valuesOf('--remount-ro', 1).flat()).toEqual(['/proc/acpi', '/proc', '/']);
    expect(inside.rootEntries?.toSorted()).toEqual(['app', 'dev', 'lib', 'lib64', 'models', 'proc', 'scratch']);
  });

  test("tells the worker no path of the host but its libraries', and nothing of the environment", () => {
    expect(env).toEqual({});
    expect(valuesOf('--setenv', 2)).toEqual([
      ['ORT_DISABLE_TELEMETRY', '1'],
      ['HOME', '/scratch'],
      ['TMPDIR', '/scratch'],
    ]);
    const command = args.slice(args.indexOf('--') + 1);
    expect(command.join(' ')).not.toMatch(/opt|ada/);
    expect(command[0]).toBe('/app/node');
    expect(command.at(-1)).toBe('/app/worker.mjs');
  });

  test('bounds the one writable place, and has none where bubblewrap is too old for that', () => {
    expect(args.join(' ')).toContain(`--size ${1 << 20} --tmpfs /scratch`);
    const old = plan({}, { disableUserNamespaces: false, boundedScratch: false });
    expect(old.inside.scratchDir).toBeNull();
    expect(old.args.join(' ')).not.toMatch(/scratch|--size|--disable-userns/);
  });

  test('covers up what the kernel tells in /proc but for what Node and ONNX Runtime size themselves by', () => {
    expect(args.join(' ')).toContain('--tmpfs /proc/acpi --remount-ro /proc/acpi');
    expect(args.join(' ')).toContain('--ro-bind /dev/null /proc/keys');
    expect(args.join(' ')).not.toMatch(/\/proc\/(cpuinfo|sys)/);
  });

  test('tells what a dynamic loader found from what it did not find', () => {
    const text =
      '\tlibcublasLt.so.12 => not found\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\tlibcudnn.so.9 => not found\n';
    expect(splitLibraryList(text)).toEqual({ paths: ['/lib/x86_64-linux-gnu/libc.so.6'], missing: ['libcublasLt.so.12', 'libcudnn.so.9'] });
  });

  test('names the folders of libraries that a loader would not look through without its cache', () => {
    expect(args).not.toContain('LD_LIBRARY_PATH');
    const gentoo = plan({ libraries: ['/usr/lib/gcc/x86_64-pc-linux-gnu/14/libstdc++.so.6', '/lib64/libc.so.6'] });
    expect(gentoo.args.join(' ')).toContain('--setenv LD_LIBRARY_PATH /usr/lib/gcc/x86_64-pc-linux-gnu/14 ');
    expect(gentoo.inside.environment).toContain('LD_LIBRARY_PATH');
  });

  test("adds a GPU's driver, nodes and links, puts ONNX Runtime's provider beside it, and keeps the rest closed", () => {
    const device: DeviceAccess = {
      libraries: ['/lib/x86_64-linux-gnu/libc.so.6', '/usr/lib/chromium/libvulkan.so.1'],
      files: ['/usr/share/vulkan/icd.d/nvidia_icd.json'],
      links: [{ path: '/sys/dev/char/226:128/device/subsystem', target: '../../../../bus/pci' }],
      nodes: ['/dev/nvidia0', '/dev/nvidiactl'],
      proc: ['/proc/driver/nvidia', '/proc/keys'],
      providers: ['/data/libonnxruntime_providers_cuda.so'],
      environment: { VK_DRIVER_FILES: '/usr/share/vulkan/icd.d/nvidia_icd.json' },
      ioctls: 'any',
      metal: false,
    };
    const procEntries = [...needs.procEntries, { name: 'driver', folder: true }];
    const gpu = plan({ device, procEntries });
    const text = gpu.args.join(' ');
    const binaries = 'bin/napi-v6/linux/x64';
    expect(text.split('/lib/x86_64-linux-gnu/libc.so.6 ')).toHaveLength(3);
    expect(text).toContain('--setenv LD_LIBRARY_PATH /usr/lib/chromium --setenv VK_DRIVER_FILES /usr/share/vulkan/icd.d/nvidia_icd.json');
    expect(text).toContain('--ro-bind /usr/share/vulkan/icd.d/nvidia_icd.json /usr/share/vulkan/icd.d/nvidia_icd.json');
    expect(text).toContain('--symlink ../../../../bus/pci /sys/dev/char/226:128/device/subsystem');
    expect(text).toContain('--dev-bind /dev/nvidia0 /dev/nvidia0 --dev-bind /dev/nvidiactl /dev/nvidiactl');
    expect(text).toContain('--tmpfs /proc/driver --ro-bind /proc/driver/nvidia /proc/driver/nvidia --remount-ro /proc/driver');
    expect(text).not.toContain('/dev/null /proc/keys');
    expect(text).toContain(
      `/data/libonnxruntime_providers_cuda.so /app/node_modules/onnxruntime-node/${binaries}/libonnxruntime_providers_cuda.so`,
    );
    expect(text).toContain(`/opt/modules/onnxruntime-node/${binaries}/libonnxruntime.so.1`);
    expect(text).not.toContain(`/opt/modules/onnxruntime-node/${binaries} `);
    expect(gpu.inside.rootEntries).toEqual(expect.arrayContaining(['usr', 'sys']));
    expect(gpu.inside.environment).toContain('VK_DRIVER_FILES');
    expect(gpu.inputs[0]).toEqual(seccompFilter('x64', 'any'));
    expect(args.filter((each) => !gpu.args.includes(each) && each !== '/proc/keys')).toEqual([
      `/opt/modules/onnxruntime-node/${binaries}`,
      `/app/node_modules/onnxruntime-node/${binaries}`,
    ]);
  });

  test("leaves Node's permissions out for the probe, and changes nothing else", () => {
    const probe = plan({ permission: false });
    expect(args.filter((each) => !probe.args.includes(each)).every((each) => /^--(permission|allow-|disable-warning)/.test(each))).toBe(
      true,
    );
    expect(probe.args.every((each) => args.includes(each))).toBe(true);
  });
});

test('the plan for macOS denies by default, opens no network and makes nothing writable but /dev/null', () => {
  const { command, args, inside } = planSandboxExec('/usr/bin/sandbox-exec', {
    ...needs,
    platform: 'darwin',
    libraries: [],
    procEntries: [],
  });
  const [flag, profile = ''] = args;
  expect([command, flag]).toEqual(['/usr/bin/sandbox-exec', '-p']);
  expect(profile.split('\n').slice(0, 2)).toEqual(['(version 1)', '(deny default)']);
  expect(profile).not.toMatch(/allow (network|mach|process-fork|file-write\*|iokit)/);
  expect(profile.match(/^.*file-write.*$/gm)).toEqual(['(allow file-read* file-write-data (literal "/dev/null") (literal "/dev/zero"))']);
  for (const path of [needs.modelsDir, needs.scriptPath, needs.nodePath]) expect(profile).toContain(`(subpath "${path}")`);
  expect(profile).toContain('(literal "/home/ada")');
  expect(profile).not.toContain('(subpath "/home/ada")');
  expect(inside.scratchDir).toBeNull();
});

test("macOS' profile opens the GPU's drivers and compiler where Metal is used, and no network, window or file to write even then", () => {
  const profile = (metal: boolean) => seatbeltProfile({ executable: '/opt/node', reads: ['/opt/hearthlend'], metal });
  expect(profile(false)).not.toMatch(/iokit|mach-lookup/);
  expect(profile(true)).toContain('(allow mach-lookup (xpc-service-name "com.apple.MTLCompilerService")');
  expect(profile(true)).toContain('(iokit-connection "IOAccelerator")');
  expect(profile(true)).not.toMatch(/windowserver|allow network|file-write-create|coreaudiod|pasteboard/);
  const opened = profile(true).split('(').length - profile(true).split(')').length;
  expect(opened).toBe(0);
});

test('a path can not add a rule to the profile', () => {
  const profile = seatbeltProfile({ executable: '/n', reads: ['/a") (allow default) ("\\'] });
  expect(profile).toContain('(subpath "/a\\") (allow default) (\\"\\\\")');
  expect(() => seatbeltProfile({ executable: '/n', reads: ['/a\n(allow default)'] })).toThrow('no path for a profile');
});

test('without a wall the worker still gets none of the environment and may write nothing', () => {
  const { env, args, command } = planBare(needs);
  expect(command).toBe(needs.nodePath);
  expect(env).toEqual({ ORT_DISABLE_TELEMETRY: '1' });
  expect(args).toContain('--permission');
  expect(args.some((each) => each.startsWith('--allow-fs-write') || each.startsWith('--allow-child-process'))).toBe(false);
});

describe('the paths in what a dynamic loader lists', () => {
  test('glibc', () => {
    const text =
      '\tlinux-vdso.so.1 (0x00007f60e8416000)\n\tlibstdc++.so.6 => /lib/x86_64-linux-gnu/libstdc++.so.6 (0x00007f60e5200000)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f60e8418000)\n';
    expect(parseLibraryList(text)).toEqual(['/lib/x86_64-linux-gnu/libstdc++.so.6', '/lib64/ld-linux-x86-64.so.2']);
  });
  test('musl', () => {
    const text =
      '\t/lib/ld-musl-x86_64.so.1 (0x7f4c3a1b2000)\n\tlibgcc_s.so.1 => /usr/lib/libgcc_s.so.1 (0x7f4c36000000)\n\tlibc.musl-x86_64.so.1 => /lib/ld-musl-x86_64.so.1 (0x7f4c3a1b2000)\n';
    expect(parseLibraryList(text)).toEqual(['/lib/ld-musl-x86_64.so.1', '/usr/lib/libgcc_s.so.1', '/lib/ld-musl-x86_64.so.1']);
  });
  test.each([
    '\tlibatomic.so.1 => not found\n',
    'Error loading shared library libatomic.so.1: No such file or directory (needed by /app/node)\n',
  ])('names the one that is missing: %j', (text) => {
    expect(() => parseLibraryList(text)).toThrow(expect.objectContaining({ params: { detail: 'the library libatomic.so.1 is missing' } }));
  });
});

describe('the wall that detection finds', () => {
  const host = (changes: Partial<DetectHost>): DetectHost => ({
    platform: 'linux',
    find: (name) => `/usr/bin/${name}`,
    read: () => null,
    run: async () => ({ code: 0, stderr: '' }),
    ...changes,
  });

  test('is bubblewrap with all that this version of it can do', async () => {
    const tried: string[][] = [];
    const wall = await detectWall(
      needs,
      host({
        run: async ({ args }) => {
          tried.push(args);
          return args.includes('--disable-userns')
            ? { code: 1, stderr: 'bwrap: Unknown option --disable-userns\n' }
            : { code: 0, stderr: '' };
        },
      }),
    );
    expect(wall).toMatchObject({
      level: 'os',
      wall: 'bubblewrap',
      reason: null,
      features: { disableUserNamespaces: false, boundedScratch: true },
    });
    // The very options that a worker gets, up to the script.
    expect(tried[0]?.slice(0, -2)).toEqual(plan().args.slice(0, -1));
    expect(tried[0]?.slice(-2)).toEqual(['-e', '0']);
  });

  test.each<[string, Partial<DetectHost>, string]>([
    ['bubblewrap is missing', { find: () => null }, 'isolation.bubblewrap-missing'],
    [
      'bubblewrap is refused',
      { run: async () => ({ code: 1, stderr: 'bwrap: setting up uid map: Permission denied\n' }) },
      'isolation.bubblewrap-refused',
    ],
    ['bubblewrap hangs', { run: async () => ({ code: null, stderr: '' }) }, 'isolation.worker-unable'],
    [
      'sandbox-exec refuses the profile',
      { platform: 'darwin', run: async () => ({ code: 65, stderr: 'sandbox-exec: no' }) },
      'isolation.worker-unable',
    ],
    ['this is Windows', { platform: 'win32' }, 'isolation.windows'],
    ['this is FreeBSD', { platform: 'freebsd' }, 'isolation.platform'],
  ])('is none, with a reason and a remedy, where %s', async (_name, changes, reason) => {
    const wall = await detectWall(needs, host(changes));
    expect(wall).toMatchObject({ level: 'process', wall: 'none', program: null, reason: { key: reason } });
    expect(wall.remedy).not.toBeNull();
  });
});
