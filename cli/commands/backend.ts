import { message } from '../../core/contract/messages.ts';
import { withProgress } from '../terminal/terminal.ts';
import type { Context, ExitCode } from './command.ts';
import { hubAccess } from './model.ts';

const MB = 1e6;

/** Fetches ONNX Runtime's CUDA provider, which its package leaves out. What came stays where it breaks off, and the next try goes on from there. */
export async function runBackendAdd({ world, terminal, dataDir }: Context, feed: string | null): Promise<ExitCode> {
  const cancelling = new AbortController();
  const stopListening = world.signals.on(() => cancelling.abort());
  let line = message('cli.backend.looking');
  try {
    const adding = world.addBackend({
      ...{ dataDir, feed, proxy: hubAccess(world.env).proxy, signal: cancelling.signal },
      onProgress(progress) {
        terminal.emit({ event: 'backend.progress', ...progress });
        line =
          progress.step === 'unpacking'
            ? message('cli.backend.unpacking')
            : message('cli.backend.fetching', { received: progress.bytes / MB, total: progress.totalBytes / MB });
      },
    });
    const { version, bytes } = await withProgress(terminal, () => line, adding);
    terminal.emit({ event: 'done', backend: 'cuda', version, bytes });
    const words =
      bytes === 0 ? message('cli.backend.present', { version }) : message('cli.backend.added', { version, megabytes: bytes / MB });
    terminal.text(words);
    return 0;
  } finally {
    stopListening();
  }
}
