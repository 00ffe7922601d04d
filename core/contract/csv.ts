export type CsvField = string | number | boolean | null;

/** One line of CSV with its end (RFC 4180). */
export function csvLine(fields: readonly CsvField[]): string {
  return `${fields.map(csvField).join(',')}\r\n`;
}

/** Text that a spreadsheet would take for a formula gets an apostrophe before it. Source: OWASP, "CSV Injection". */
function csvField(field: CsvField): string {
  if (typeof field !== 'string') return field === null ? '' : String(field);
  const text = /^[=+\-@\t\r\n]/.test(field) ? `'${field}` : field;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
