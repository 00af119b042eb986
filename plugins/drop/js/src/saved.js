import { executeOperator, Operator, OperatorConfig, registerOperator } from "@fiftyone/operators";
import { dataset } from "@fiftyone/state";
import { useRecoilValue } from "recoil";

const PATIENCE = 10000; // ms
const LOOKS = 50; // ms

let read = null; // the dataset as the App has read it last; another id at each reading

/** Show a saved view as soon as the App knows it, which has been told to read its dataset again.
 *
 * Before that it would go back to the view without a name when it has read the dataset.
 */
class ShowSavedView extends Operator {
  get config() {
    return new OperatorConfig({ name: "show_saved_view", label: "DRoP: show a saved view", unlisted: true });
  }
  useHooks() {
    read = useRecoilValue(dataset);
  }
  async execute({ params: { name } }) {
    const before = read?.id;
    const isKnown = () => read?.savedViews?.some(({ slug }) => slug === name);
    for (const end = Date.now() + PATIENCE; !(isKnown() && read.id !== before) && Date.now() < end; )
      await new Promise((done) => setTimeout(done, LOOKS));
    if (isKnown()) executeOperator("@voxel51/operators/set_view", { name });
  }
}

registerOperator(ShowSavedView, "@fiftyone-drop/drop");
