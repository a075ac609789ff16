export function InteractionPanel(_: { project: string; completionId: string; onClose: () => void; onStep: (by: 1 | -1) => void }) {
  return null;
}
