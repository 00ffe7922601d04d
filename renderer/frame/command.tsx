import { CopyButton } from './copy-button.tsx';

/** A command to type into a terminal, with a button that copies it. */
export function Command({ text }: { text: string }): React.ReactNode {
  return (
    <div className="command">
      <code>{text}</code>
      <CopyButton text={text} what="screen.copy.command" />
    </div>
  );
}
