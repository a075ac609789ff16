export function ExportDialog(_: { project: string; filter: unknown; open: boolean; onClose: () => void }) {
  return null;
}
