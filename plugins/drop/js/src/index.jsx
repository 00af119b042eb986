import { PluginComponentType, registerComponent } from "@fiftyone/plugins";
import { DropPanel } from "./DropPanel.jsx";

registerComponent({
  name: "DropPanel", // panel.py renders this name
  label: "DRoP",
  component: DropPanel,
  type: PluginComponentType.Component,
  activator: () => true,
});
