// Short notices at the edge of the page: what was done, or what failed.

import { Toast } from "@base-ui/react/toast";
import { ApiError } from "~/api/client";
import css from "./ui.module.css";

const toasts = Toast.createToastManager();

/** Tell the user that something was done, or show what the server refused. */
export function notify(told: string | Error, description?: string): void {
  if (typeof told === "string") {
    toasts.add({ title: told, description, timeout: 4000 });
  } else {
    const hint = told instanceof ApiError ? told.hint : undefined;
    toasts.add({
      // What many calls meet at once is told once.
      id: `${told.message}${hint ?? ""}`,
      title: told.message,
      description: hint,
      type: "error",
      timeout: 9000,
      priority: "high",
    });
  }
}

export function Toasts() {
  return (
    <Toast.Provider toastManager={toasts}>
      <Toast.Portal>
        <Toast.Viewport className={css.toasts}>
          <Shown />
        </Toast.Viewport>
      </Toast.Portal>
    </Toast.Provider>
  );
}

function Shown() {
  return Toast.useToastManager().toasts.map((toast) => (
    <Toast.Root key={toast.id} toast={toast} className={css.toast}>
      <Toast.Title render={<strong />} />
      <Toast.Description />
    </Toast.Root>
  ));
}
