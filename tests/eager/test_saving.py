"""save and load, pickles and copies: values, requires_grad and gradients travel, the tape does not, nor does code."""

import copy
import io
import json
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import chainrule as cr
from chainrule.errors import ArgumentError, ChainruleError, DataError


def leaf(value):
    return cr.tensor(value, requires_grad=True)


def again(obj):
    f = io.BytesIO()
    cr.save(obj, f)
    return cr.load(f)


def test_a_state_comes_back_as_it_was(tmp_path):
    w, b = leaf([[1.0, 2.0]]), cr.tensor(0.5, dtype=cr.float32)
    state = {"model": OrderedDict(w=w, b=b), "step": 3, "lr": 0.1, "name": "run", "best": None, "on": True,
             "sizes": (1, [2, 3]), 7: cr.float32, "mean": np.float64(2.5), "a": np.arange(3)}  # fmt: skip
    path = tmp_path / "state.cr"
    cr.save(state, path)
    found = cr.load(path)
    assert list(found) == list(state)
    assert found["model"]["w"].tolist() == [[1.0, 2.0]]
    assert (found["model"]["w"].requires_grad, found["model"]["b"].requires_grad) == (True, False)
    assert found["model"]["b"].dtype == cr.float32
    for k in ("step", "lr", "name", "best", "on", "sizes", 7, "mean"):
        assert found[k] == state[k]
        assert type(found[k]) is type(state[k])
    np.testing.assert_array_equal(found["a"], np.arange(3))
    assert [p.name for p in tmp_path.iterdir()] == ["state.cr"]


NUMBERS = st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text()
ARRAYS = hnp.arrays(
    st.sampled_from(["f8", "f4", "c16", "c8", "i8", "i4", "?"]),
    hnp.array_shapes(min_dims=0, min_side=0, max_side=3),
)
DATA = st.recursive(
    NUMBERS | ARRAYS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
)


def same(a, b):
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        for k in a:
            same(a[k], b[k])
    elif isinstance(a, list | tuple):
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    else:
        np.testing.assert_equal(a, b)


@given(DATA)
def test_any_nested_data_comes_back(data):
    same(data, again(data))


@given(ARRAYS)
def test_tensors_of_every_dtype_come_back(a):
    found = again(cr.tensor(a))
    assert found.dtype == a.dtype
    np.testing.assert_array_equal(found.numpy(), a)


def test_a_tensor_that_occurs_twice_is_one_tensor_again():
    w = leaf([1.0])
    a, b = again([w, w])
    assert a is b


def test_a_computed_tensor_becomes_a_leaf_and_a_view_its_own_memory():
    w = leaf([1.0, 2.0, 3.0])
    found = again((w * 2)[1:])
    assert found.tolist() == [4.0, 6.0]
    assert found.is_leaf
    assert found.requires_grad


def test_the_state_of_an_optimiser_continues_the_same_run(tmp_path):
    def step(w, opt):
        opt.zero_grad()
        (w**2).sum().backward()
        opt.step()

    w = leaf([1.0, -2.0])
    opt = cr.optim.Adam([w], lr=0.1)
    step(w, opt)
    cr.save({"w": w, "opt": opt.state_dict()}, tmp_path / "run")
    loaded = cr.load(tmp_path / "run")
    u = loaded["w"]
    other = cr.optim.Adam([u], lr=0.5)
    other.load_state_dict(loaded["opt"])
    step(w, opt)
    step(u, other)
    assert u.tolist() == w.tolist()


class Model:
    pass


def _circle():
    a = []
    a.append(a)
    return a


@pytest.mark.parametrize(
    "obj, said",
    [
        ({"m": [0, Model()]}, r"obj\['m'\]\[1\] is a Model"),
        (len, "obj is a builtin_function_or_method"),
        ({Model(): 1}, "a key of obj is a Model"),
        ({1, 2}, "obj is a set"),
        (_circle(), r"obj\[0\] contains itself"),
        (np.array(["a"]), "dtype"),
        (np.array([None]), "dtype object"),
    ],
)
def test_what_is_no_data_is_refused_and_named(obj, said, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"as it was")
    with pytest.raises(DataError, match=said) as info:
        cr.save(obj, path)
    assert info.value.fix
    assert path.read_bytes() == b"as it was"
    assert len(list(tmp_path.iterdir())) == 1


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("code of the file was run",))


def _files(folder):
    (folder / "pickle").write_bytes(pickle.dumps(Bomb()))
    with zipfile.ZipFile(folder / "torch", "w") as z:
        z.writestr("archive/data.pkl", pickle.dumps(Bomb()))
    np.save(folder / "npy.npy", np.ones(2))
    np.savez(folder / "npz.npz", a=np.ones(2))
    (folder / "text").write_text("hello")
    (folder / "empty").write_bytes(b"")
    with zipfile.ZipFile(folder / "newer", "w") as z:
        z.writestr("data.json", json.dumps({"format": "chainrule", "version": 99, "data": None}))
    with zipfile.ZipFile(folder / "missing", "w") as z:
        z.writestr("data.json", json.dumps({"format": "chainrule", "version": 1, "data": {"tensor": 0}}))
    with zipfile.ZipFile(folder / "odd", "w") as z:
        z.writestr("data.json", json.dumps({"format": "chainrule", "version": 1, "data": {"exec": "1"}}))
    array = io.BytesIO()
    np.lib.format.write_array(array, np.array([Bomb()], object), allow_pickle=True)
    with zipfile.ZipFile(folder / "objects", "w") as z:
        z.writestr("data.json", json.dumps({"format": "chainrule", "version": 1, "data": {"array": 0}}))
        z.writestr("0.npy", array.getvalue())
    cr.save(cr.ones(100), folder / "cut")
    whole = (folder / "cut").read_bytes()
    (folder / "cut").write_bytes(whole[: len(whole) // 2])
    with zipfile.ZipFile(folder / "cut array", "w") as z:
        z.writestr("data.json", json.dumps({"format": "chainrule", "version": 1, "data": {"array": 0}}))
        z.writestr("0.npy", array.getvalue()[:20])


@pytest.mark.parametrize(
    "name, said",
    [("pickle", "runs code"), ("torch", "written by PyTorch"), ("npy.npy", "numpy.save"), ("npz.npz", "numpy.savez"),
     ("text", "not written by"), ("empty", "not written by"), ("newer", "format 99"), ("missing", "damaged"),
     ("odd", "damaged"), ("objects", "damaged"), ("cut", "not written by"), ("cut array", "damaged")],
)  # fmt: skip
def test_a_file_that_save_did_not_write_is_refused_by_name_and_runs_nothing(name, said, tmp_path):
    _files(tmp_path)
    path = tmp_path / name
    with path.open("rb") as opened:
        for source in (path, opened):
            with pytest.raises(DataError, match=said) as info:
                cr.load(source)
            assert name in info.value.what
            assert info.value.fix


def test_a_file_that_is_not_there_is_pythons_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        cr.load(tmp_path / "nothing")


def test_torchs_arguments_are_understood():
    f = io.BytesIO()
    cr.save(1, f)
    assert cr.load(f, map_location="cpu", weights_only=True) == 1
    with pytest.raises(ArgumentError, match="no device 'cuda'"):
        cr.load(f, map_location="cuda")
    with pytest.raises(ChainruleError, match="never code"):
        cr.load(f, weights_only=False)


# --- pickles and copies ----------------------------------------------------------------------------

WAYS = {"pickle": lambda t: pickle.loads(pickle.dumps(t)), "deepcopy": copy.deepcopy}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", [2.0, [1.0, 2.0]])
def test_value_flag_and_gradient_travel(way, value):
    w = leaf(value)
    (w * w).sum().backward()
    found = WAYS[way](w)
    assert (found.tolist(), found.requires_grad, found.is_leaf) == (w.tolist(), True, True)
    assert found.grad.tolist() == w.grad.tolist()
    found.grad = None
    assert w.grad is not None
    with cr.no_grad():
        found += 1
    assert found.tolist() != w.tolist()


@pytest.mark.parametrize("way", WAYS)
def test_the_tape_does_not_travel(way):
    w = leaf([1.0, 2.0])
    y = (w * 2)[1:]
    found = WAYS[way](y)
    assert (found.tolist(), found.is_leaf, found.grad_fn) == ([4.0], True, None)
    (found * 3).sum().backward()
    assert w.grad is None
    assert found.grad.tolist() == [3.0]


def test_tensors_that_occur_twice_are_one_in_a_pickle_and_in_a_copy():
    w = leaf([1.0])
    for way in WAYS.values():
        a, b = way([w, w])
        assert a is b


def test_a_pickle_of_a_large_graph_is_small():
    w = leaf(np.zeros(10))
    y = w
    for _ in range(1000):
        y = y * 1.5
    assert len(pickle.dumps(y)) < 1000
