import { describe, expect, test } from 'vitest';
import { messageOf } from '../../../../core/contract/messages.ts';
import { containerEngine, explainMissing, explainRefusal, type LinuxClues } from '../../../../core/supervisor/sandbox/remedy.ts';

const unknown: LinuxClues = { osRelease: null, container: null, apparmorRestricts: null, usernsClone: null, maxUserNamespaces: '96365\n' };

/** What bubblewrap wrote, word for word. Unless said otherwise: 0.8.0 on Debian 12. */
const said = {
  /** in a user namespace with user.max_user_namespaces = 0 */
  exhausted: 'bwrap: Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)\n',
  /** as root without capabilities */
  forbidden: 'bwrap: Creating new namespace failed: Operation not permitted\n',
  /** under a system call filter that refuses CLONE_NEWUSER, as container engines have it */
  filtered:
    'bwrap: No permissions to create new namespace, likely because the kernel does not allow non-privileged user namespaces. See <https://deb.li/bubblewrap> or <file:///usr/share/doc/bubblewrap/README.Debian.gz>.\n',
  /** where part of /proc is covered up, as in a container without systempaths=unconfined */
  coveredProc: "bwrap: Can't mount proc on /newroot/proc: Operation not permitted\n",
  /** Ubuntu 24.04, kernel.apparmor_restrict_unprivileged_userns = 1 */
  apparmor: 'bwrap: setting up uid map: Permission denied\n',
  /** Ubuntu 23.10, the same switch */
  apparmorLoopback: 'bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted\n',
  /** Docker with seccomp=unconfined and its AppArmor profile */
  slave: 'bwrap: Failed to make / slave: Permission denied\n',
  oldOption: 'bwrap: Unknown option --hostname\n',
  noFile: "bwrap: Can't find source path /opt/node: No such file or directory\n",
  noLibrary: '/app/node: error while loading shared libraries: libatomic.so.1: cannot open shared object file: No such file or directory\n',
};

const explain = (stderr: string, clues: Partial<LinuxClues>) => explainRefusal('/usr/bin/bwrap', stderr, { ...unknown, ...clues });

describe('the remedy for a bubblewrap that is refused', () => {
  test.each<[string, string, Partial<LinuxClues>, string]>([
    ['namespaces are turned off by number', said.exhausted, { maxUserNamespaces: '0\n' }, 'sudo sysctl -w user.max_user_namespaces=15000'],
    ["Debian's switch is off", said.filtered, { usernsClone: '0\n' }, 'sudo sysctl -w kernel.unprivileged_userns_clone=1'],
    ["Ubuntu's AppArmor restriction is on", said.apparmor, { apparmorRestricts: '1\n' }, 'sudo apparmor_parser -r /etc/apparmor.d/bwrap'],
    [
      'the same restriction as 23.10 words it',
      said.apparmorLoopback,
      { apparmorRestricts: '1\n' },
      'profile bwrap /usr/bin/bwrap flags=(unconfined)',
    ],
    ['Docker filters system calls', said.filtered, { container: 'docker' }, '--security-opt seccomp=unconfined'],
    ['Docker covers up parts of /proc', said.coveredProc, { container: 'docker' }, '--security-opt systempaths=unconfined'],
    ["Docker's AppArmor profile forbids mounts", said.slave, { container: 'docker' }, '--security-opt apparmor=unconfined'],
    ['Podman covers up parts of /proc', said.coveredProc, { container: 'podman' }, '--security-opt unmask=ALL'],
    ['another engine runs the container', said.forbidden, { container: 'other' }, '--security-opt seccomp=unconfined'],
    [
      "a switch is off inside a container: it is the machine's",
      said.filtered,
      { usernsClone: '0', container: 'docker' },
      'kernel.unprivileged_userns_clone=1',
    ],
    ['nothing says who refuses', said.forbidden, {}, 'Ask whoever runs this machine'],
  ])('names the exact command when %s', (_name, stderr, clues, command) => {
    const { reason, remedy } = explain(stderr, clues);
    expect(reason.key).toBe('isolation.bubblewrap-refused');
    expect(messageOf(reason)).toContain(stderr.trim().replace('bwrap: ', ''));
    expect(messageOf(remedy)).toContain(command);
  });

  test("doesn't blame namespaces for what is no matter of theirs", () => {
    expect(explain(said.noFile, { container: 'docker' }).reason.key).toBe('isolation.worker-unable');
    expect(explain(said.noLibrary, { usernsClone: '0' }).reason.key).toBe('isolation.worker-unable');
    expect(explain('', {}).reason.key).toBe('isolation.worker-unable');
    expect(messageOf(explain(said.noLibrary, {}).reason)).toContain('libatomic.so.1');
  });

  test('asks for a newer bubblewrap when this one lacks an option', () => {
    const { reason, remedy } = explain(said.oldOption, { osRelease: 'ID=fedora\n' });
    expect(messageOf(reason)).toBe('This bubblewrap is too old: Unknown option --hostname');
    expect(messageOf(remedy)).toContain('sudo dnf install bubblewrap');
  });
});

describe('the remedy for a bubblewrap that is missing', () => {
  test.each([
    ['ID=debian\n', 'sudo apt install bubblewrap'],
    ['NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n', 'sudo apt install bubblewrap'],
    ['ID="rocky"\nID_LIKE="rhel centos fedora"\n', 'sudo dnf install bubblewrap'],
    ['ID=bazzite\nID_LIKE="fedora"\n', 'sudo dnf install bubblewrap'],
    ['ID=steamos\nID_LIKE=arch\n', 'sudo pacman -S bubblewrap'],
    ['ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n', 'sudo zypper install bubblewrap'],
    ['ID=alpine\n', 'sudo apk add bubblewrap'],
    ['ID=unheard-of\n', "your distribution's package bubblewrap"],
    [null, "your distribution's package bubblewrap"],
  ])('is one command for %j', (osRelease, command) => {
    expect(messageOf(explainMissing({ ...unknown, osRelease }).remedy)).toBe(`Install it: ${command}`);
  });
});

test('a container is recognised by what its engine leaves in it', () => {
  const none = { '/.dockerenv': null, '/run/.containerenv': null, '/run/systemd/container': null, '/proc/1/cgroup': '0::/init.scope\n' };
  expect(containerEngine(none)).toBeNull();
  expect(containerEngine({ ...none, '/.dockerenv': '' })).toBe('docker');
  expect(containerEngine({ ...none, '/run/.containerenv': '' })).toBe('podman');
  expect(containerEngine({ ...none, '/run/systemd/container': 'lxc\n' })).toBe('other');
  expect(containerEngine({ ...none, '/proc/1/cgroup': '5:pids:/docker/0123\n' })).toBe('docker');
  expect(containerEngine({ ...none, '/proc/1/cgroup': '0::/kubepods.slice/x\n' })).toBe('other');
});
