import { type MessageRef, ref } from '../../contract/messages.ts';

/** What a Linux machine says about itself, as far as it bears on bubblewrap being refused. Contents of files, null where there is none. */
export interface LinuxClues {
  /** /etc/os-release */
  osRelease: string | null;
  /** Whether this runs in a container, by the files that engines leave in one. */
  container: 'docker' | 'podman' | 'other' | null;
  /** /proc/sys/kernel/apparmor_restrict_unprivileged_userns */
  apparmorRestricts: string | null;
  /** /proc/sys/kernel/unprivileged_userns_clone */
  usernsClone: string | null;
  /** /proc/sys/user/max_user_namespaces */
  maxUserNamespaces: string | null;
}

export interface Explanation {
  reason: MessageRef;
  remedy: MessageRef;
}

/** By ID and ID_LIKE of os-release: the command that installs bubblewrap. */
const INSTALL: Record<string, string> = {
  debian: 'sudo apt install bubblewrap',
  ubuntu: 'sudo apt install bubblewrap',
  fedora: 'sudo dnf install bubblewrap',
  rhel: 'sudo dnf install bubblewrap',
  centos: 'sudo dnf install bubblewrap',
  arch: 'sudo pacman -S bubblewrap',
  suse: 'sudo zypper install bubblewrap',
  opensuse: 'sudo zypper install bubblewrap',
  alpine: 'sudo apk add bubblewrap',
  gentoo: 'sudo emerge sys-apps/bubblewrap',
  void: 'sudo xbps-install bubblewrap',
  nixos: 'nix-env -iA nixos.bubblewrap',
};
const ANY_INSTALL = "your distribution's package bubblewrap";

// From "Restricted unprivileged user namespaces are coming to Ubuntu 23.10": a profile that gives one program its namespaces back.
const APPARMOR_PROFILE =
  "printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile bwrap {path} flags=(unconfined) {\\n  userns,\\n}\\n' | sudo tee /etc/apparmor.d/bwrap && sudo apparmor_parser -r /etc/apparmor.d/bwrap";

/** Each engine's flags that let a container make namespaces and mount its own /proc. */
const CONTAINER_FLAGS = {
  docker: '--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined',
  podman: '--security-opt seccomp=unconfined --security-opt label=disable --security-opt unmask=ALL',
};

/**
 * What bubblewrap (bubblewrap.c, network.c) says when the kernel or a security module doesn't let it make or furnish its namespaces. Other
 * complaints of it are about a file or a program.
 */
const NAMESPACES_REFUSED =
  /^bwrap: .*(namespace|uid map|gid map|uid_map|setgroups|make \/ slave|mount proc|mount tmpfs|pivot_root|RTM_NEW|loopback|prctl|SECCOMP)/m;

export function explainMissing(clues: LinuxClues): Explanation {
  return {
    reason: ref('isolation.bubblewrap-missing'),
    remedy: ref('isolation.bubblewrap-missing.remedy', { command: installCommand(clues) }),
  };
}

/**
 * Why bubblewrap at `path` did not start a program, and what to do about it, from what it wrote to stderr and what the machine says of
 * itself. A system's own switches count before the container it runs in, since they name the cause.
 */
export function explainRefusal(path: string, stderr: string, clues: LinuxClues): Explanation {
  const detail = firstLine(stderr);
  if (/^bwrap: Unknown option/m.test(stderr)) {
    return {
      reason: ref('isolation.bubblewrap-old', { detail }),
      remedy: ref('isolation.bubblewrap-missing.remedy', { command: installCommand(clues) }),
    };
  }
  if (!NAMESPACES_REFUSED.test(stderr))
    return { reason: ref('isolation.worker-unable', { detail }), remedy: ref('isolation.probe-broken.remedy') };

  const reason = ref('isolation.bubblewrap-refused', { detail });
  const sysctl = (setting: string): Explanation => ({
    reason,
    remedy: ref('isolation.bubblewrap-refused.sysctl', { command: `sudo sysctl -w ${setting}` }),
  });
  if (clues.maxUserNamespaces?.trim() === '0') return sysctl('user.max_user_namespaces=15000');
  if (clues.usernsClone?.trim() === '0') return sysctl('kernel.unprivileged_userns_clone=1');
  if (clues.container !== null) {
    const command = clues.container === 'podman' ? CONTAINER_FLAGS.podman : CONTAINER_FLAGS.docker;
    return { reason, remedy: ref('isolation.bubblewrap-refused.container', { command }) };
  }
  if (clues.apparmorRestricts?.trim() === '1') {
    return { reason, remedy: ref('isolation.bubblewrap-refused.apparmor', { command: APPARMOR_PROFILE.replace('{path}', path) }) };
  }
  return { reason, remedy: ref('isolation.bubblewrap-refused.unknown') };
}

/** The engine whose marks are in these files, by path; null where there are none. */
export function containerEngine(
  files: Record<'/.dockerenv' | '/run/.containerenv' | '/run/systemd/container' | '/proc/1/cgroup', string | null>,
): LinuxClues['container'] {
  if (files['/run/.containerenv'] !== null) return 'podman';
  if (files['/.dockerenv'] !== null) return 'docker';
  const named = `${files['/run/systemd/container'] ?? ''}\n${files['/proc/1/cgroup'] ?? ''}`;
  if (/podman|libpod/.test(named)) return 'podman';
  if (/docker/.test(named)) return 'docker';
  return /kubepods|containerd|\blxc\b|systemd-nspawn|crio/.test(named) ? 'other' : null;
}

function installCommand({ osRelease }: LinuxClues): string {
  const value = (name: string): string => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(osRelease ?? '')?.[1] ?? '';
  const ids = [value('ID'), ...value('ID_LIKE').split(/\s+/)].map((id) => id.replace(/^opensuse-.*/, 'opensuse'));
  return ids.map((id) => INSTALL[id]).find((command) => command !== undefined) ?? ANY_INSTALL;
}

function firstLine(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  const line = lines.find((each) => each.startsWith('bwrap: ')) ?? lines.find((each) => each !== '') ?? 'it said nothing';
  return line.replace(/^bwrap: /, '').slice(0, 300);
}
