/**
 * An XGBoost regression model (the JSON form of XGBoost 2) that answers `value` to every input of one feature: small, and
 * its answer tells which model gave it.
 */
export function constantModel(value: number): string {
  const leaf = {
    base_weights: [value],
    categories: [],
    categories_nodes: [],
    categories_segments: [],
    categories_sizes: [],
    default_left: [0],
    id: 0,
    left_children: [-1],
    loss_changes: [0],
    parents: [2147483647],
    right_children: [-1],
    split_conditions: [value],
    split_indices: [0],
    split_type: [0],
    sum_hessian: [1],
    tree_param: { num_deleted: '0', num_feature: '1', num_nodes: '1', size_leaf_vector: '1' },
  };
  const booster = {
    model: {
      gbtree_model_param: { num_parallel_tree: '1', num_trees: '1' },
      iteration_indptr: [0, 1],
      tree_info: [0],
      trees: [leaf],
    },
    name: 'gbtree',
  };
  return JSON.stringify({
    learner: {
      attributes: {},
      feature_names: [],
      feature_types: [],
      gradient_booster: booster,
      learner_model_param: {
        base_score: '0E0',
        boost_from_average: '1',
        num_class: '0',
        num_feature: '1',
        num_target: '1',
      },
      objective: { name: 'reg:squarederror', reg_loss_param: { scale_pos_weight: '1' } },
    },
    version: [2, 1, 4],
  });
}
