export function Brand(): React.ReactNode {
  return (
    <div className="brand">
      <svg width="20" height="20" viewBox="0 0 20 20" aria-hidden="true">
        <path d="M10 1 19 10 10 19 1 10Z" fill="none" stroke="currentColor" strokeWidth="2" />
        <path d="M10 6 14 10 10 14 6 10Z" fill="currentColor" />
      </svg>
      Hearthlend
    </div>
  );
}
