"""Programs that end in an error, one function each; the file of golden texts has the function's name.

Each is run as a program of a user: see test_golden.py.
"""

import numpy as np

import chainrule as cr


def several_outputs():
    z = cr.tensor([-1.0], requires_grad=True)
    a = cr.cat([2 * z, z**4])
    a.backward()


def why_of_a_list():
    w = cr.tensor(1.0, requires_grad=True)
    cr.why([w])


def explain_of_a_number():
    cr.explain(3)


def explain_of_a_function_without_a_point():
    cr.explain(lambda w: w**2)


def explain_of_a_function_that_returns_a_number():
    cr.explain(lambda w: (w**2).item(), 1.0)


def explain_of_two_tensors_at_once():
    a, b = cr.tensor(1.0, requires_grad=True), cr.tensor(2.0, requires_grad=True)
    cr.explain(a * b, a, b)


def explanation_in_an_unknown_form():
    w = cr.tensor(1.0, requires_grad=True)
    cr.explain(w * 2).save("L.pdf")


def update_before_backward():
    w = cr.tensor(1.0, requires_grad=True)
    L = w**2
    with cr.no_grad():
        w -= 0.5
    L.backward()


def several_outputs_of_an_expression():
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    (x * 2).backward()


def second_backward():
    x = cr.tensor(3.0, requires_grad=True)
    y = x**2
    y.backward()
    y.backward()


def nothing_marked():
    y = cr.tensor(3.0) ** 2
    y.backward()


def cut_by_no_grad():
    x = cr.tensor(3.0, requires_grad=True)
    with cr.no_grad():
        y = x * 2
    y.backward()


def cut_by_a_comparison():
    x = cr.tensor([1.0, -1.0], requires_grad=True)
    accuracy = (x > 0).double().mean()
    accuracy.backward()


def cut_by_a_cast():
    x = cr.tensor(3.0, requires_grad=True)
    (x.long() * 2.0).backward()


def cut_by_detach():
    x = cr.tensor(3.0, requires_grad=True)
    (x.detach() * 2.0).backward()


def gradient_without_create_graph():
    x = cr.tensor(3.0, requires_grad=True)
    (g,) = cr.autograd.grad(x**3, x)
    g.backward()


def mismatched_weights():
    x = cr.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (x * 2).backward(cr.ones(2))


def unused_input():
    x = cr.tensor(3.0, requires_grad=True)
    u = cr.tensor(1.0, requires_grad=True)
    cr.autograd.grad(x**2, [x, u])


def overwritten_result():
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    y = x.exp()
    y += 1
    y.sum().backward()


def leaf_changed_in_place():
    w = cr.tensor(1.0, requires_grad=True)
    w -= 0.1


def entry_of_a_leaf_assigned():
    w = cr.tensor([1.0, 2.0], requires_grad=True)
    w[0] = 5.0


def flag_of_a_computed_tensor():
    y = cr.tensor(1.0, requires_grad=True) * 2
    y.requires_grad = False


def whole_numbers_that_require_a_gradient():
    cr.tensor([1, 2, 3], requires_grad=True)


def inference_tensor_in_a_recorded_product():
    x = cr.tensor(2.0, requires_grad=True)
    with cr.inference_mode():
        c = cr.tensor(3.0)
    c * x


def numpy_of_a_tracked_tensor():
    cr.tensor([1.0], requires_grad=True).numpy()


def ragged_lists():
    cr.tensor([[1.0, 2.0], [3.0]])


def text_as_data():
    cr.tensor("abc")


def none_as_data():
    cr.tensor([1.0, None])


def dict_as_data():
    cr.tensor({"w": 1.0})


def deep_nesting():
    data = []
    for _ in range(100_000):
        data = [data]
    cr.tensor(data)


def unknown_dtype():
    cr.tensor([1.0], dtype="float63")


def another_device():
    cr.tensor([1.0], device="cuda")


def to_cuda():
    cr.tensor([1.0]).cuda()


def unknown_attribute():
    cr.tensor([1.0]).bakward()


def unknown_function():
    cr.sinn(1.0)


def shapes_that_do_not_fit():
    def model(w, b):
        return cr.sin(w) * b

    model(cr.ones(3), cr.ones(2))


def matrix_shapes_that_do_not_fit():
    cr.ones(2, 3) @ cr.ones(2, 3)


def list_as_operand():
    cr.tensor([1.0, 2.0]) * [1.0, 2.0]


def dim_out_of_range():
    cr.ones(2, 3).sum(dim=2)


def unknown_keyword():
    cr.ones(2, 3).sum(dims=1)


def index_out_of_range():
    cr.ones(2, 3)[0, 7]


def float_as_index():
    cr.ones(3)[0.5]


def value_that_does_not_fit():
    x = cr.zeros(4)
    x[:2] = cr.ones(3)


def truth_of_several():
    if cr.tensor([1.0, 2.0]):
        pass


def gradient_of_a_vector_function():
    cr.grad(lambda x: x * 2)(cr.ones(3))


def gradient_at_whole_numbers():
    cr.grad(lambda x: x * 2)(3)


def list_returned_to_a_transform():
    cr.grad(lambda x: [x, 2 * x])(1.0)


def gradient_assigned_as_a_number():
    w = cr.tensor(1.0, requires_grad=True)
    w.grad = 3.0


def hook_of_another_shape():
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    x.register_hook(lambda g: g.sum())
    (x * 2).sum().backward()


def hook_on_a_constant():
    cr.tensor(1.0).register_hook(print)


def numpy_function_that_is_not_there():
    np.roots(cr.ones(2))


def array_that_would_swallow_a_gradient():
    a = np.ones(2)
    a += cr.tensor([1.0, 2.0], requires_grad=True)


def zero_as_divisor_of_whole_numbers():
    cr.tensor([5]) // 0


def format_of_a_vector():
    print(f"{cr.tensor([1.0, 2.0]):.2f}")


def default_dtype_of_whole_numbers():
    cr.set_default_dtype(cr.int64)


def changed_shape_in_place():
    cr.ones(2, 3).unsqueeze_(0)


def index_tensor_out_of_range():
    cr.ones(2, 3).gather(1, cr.tensor([[0, 3], [1, 1]]))


def scattered_out_of_range():
    cr.zeros(3).index_add(0, cr.tensor([0, 4]), cr.ones(2))


def values_for_other_places():
    cr.zeros(3, 4).index_copy(0, cr.tensor([0, 1]), cr.ones(3, 4))


def views_that_would_copy():
    cr.ones(2, 3).T.view(6)


def parts_that_do_not_add_up():
    cr.ones(5).split([2, 2])


def expanded_to_another_length():
    cr.ones(2, 3).expand(2, 5)


def windows_written_to():
    x = cr.arange(5.0)
    x.unfold(0, 3, 1).mul_(2)


def optimised_result():
    w = cr.tensor(1.0, requires_grad=True)
    cr.optim.SGD([w * 2], lr=0.1)


def step_with_nan():
    w = cr.tensor([0.0, 1.0], requires_grad=True)
    opt = cr.optim.SGD([w], lr=0.1)
    (w.sqrt() * cr.tensor([0.0, 1.0])).sum().backward()
    opt.step()


def unknown_optimiser():
    cr.optim.RMSprop([])


def saved_function():
    cr.save({"model": {"w": cr.ones(2), "f": len}}, "file.cr")


def left_over_device():
    cr.device("cuda:0")


def if_on_a_traced_value():
    def f(x):
        if x.sum() > 0:
            return x
        return -x

    cr.vmap(f)(cr.ones(3, 2))


def float_of_a_traced_value():
    cr.vmap(lambda x: x * float(x.sum()))(cr.ones(3, 2))


def mask_as_index_of_a_traced_value():
    cr.graph_of(lambda x: x[x > 0].sum(), np.ones(3))


def traced_value_that_is_kept():
    kept = []

    def f(x):
        kept.append(x * 2)
        return x

    cr.vmap(f)(cr.ones(3, 2))
    kept[0] + 1


def different_numbers_of_examples():
    cr.vmap(lambda p, x: p["w"] * x)({"w": cr.ones(3, 2)}, cr.ones(4, 2))


def random_numbers_of_many_examples():
    cr.vmap(lambda x: x + cr.rand(2))(cr.ones(3, 2))


def many_examples_that_write_to_one_tensor():
    total = cr.zeros(2)

    def f(x):
        total.add_(x)
        return x

    cr.vmap(f)(cr.ones(3, 2))


def another_shape_for_a_compiled_function():
    f = cr.compile(lambda x: x @ cr.ones(3, 2))
    f(np.ones(3))
    f(np.ones(4))


def if_in_a_compiled_function():
    @cr.compile
    def f(x):
        if x.sum() > 0:
            return x
        return -x

    f(np.ones(3))


def number_asked_for_in_a_compiled_function():
    cr.compile(lambda x: x * float(x.sum()))(np.ones(3))


def compiled_value_that_is_kept():
    kept = []

    @cr.compile
    def f(x):
        kept.append(x * 2)
        return x

    f(np.ones(3))
    kept[0] + 1


def compiled_function_that_is_given_a_set():
    cr.compile(lambda x, names: x)(np.ones(3), {"a", "b"})


def report_of_a_compiled_function_that_was_not_called():
    cr.compile(lambda x: x * 2).report()


def function_of_numpy_in_a_compiled_function():
    cr.compile(lambda x: np.linalg.inv(x))(np.eye(2))


def gradient_of_a_compiled_function_past_a_rule():
    class Sin(cr.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * x.cos()

    cr.grad(cr.compile(Sin.apply))(0.5)
