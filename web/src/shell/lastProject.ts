// The last visited project, so that the next visit starts there.

const KEY = "afterword.project";

export function lastProject(): string | null {
  return localStorage.getItem(KEY);
}

export function keepProject(key: string): void {
  localStorage.setItem(KEY, key);
}
