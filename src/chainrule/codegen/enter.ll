; What Python calls when a small program is called: see entry.py and objects.py.
;
; `enter` takes the code object and the instruction of the caller and then the arguments. It compares these with the
; signature of the program, points the program at their entries, runs it, and makes the tensors that come back.
; Words with a dollar are places in objects, which objects.py finds out.

; kind (0: this very object, 1: a float64 number, 2: an array), object or dtype, where to put what it holds, shape
%Input = type { i64, ptr, ptr, i64, ptr }
; dtype (null: a number); where the number is, or the pointer that the program writes to; shape; what the node keeps
; (null: the value); the pointer to entries that are copied when all has run, and their bytes (0: none)
%Output = type { ptr, ptr, i64, ptr, ptr, ptr, i64 }
; a function of the program, and its range of samples
%Step = type { ptr, i64, i64 }
; inputs, outputs, steps: how many, and where; the pointers of the program; whether tracked tensors are as good as others;
; what nodes say of how they were made
%Program = type { i64, ptr, i64, ptr, i64, ptr, ptr, i64, ptr }

@none = external global i8
@float = external global i8
@float64 = external global i8
@ndarray = external global i8
@tensor = external global i8
@node = external global i8
@next_serial = external global i8
@kept = external global i8
declare ptr @PyFloat_FromDouble(double)
declare ptr @PyType_GenericAlloc(ptr, i64)
declare ptr @PyObject_CallNoArgs(ptr)
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare void @Py_IncRef(ptr)
declare ptr @new_array(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)
declare i32 @memcmp(ptr, ptr, i64)
declare ptr @memcpy(ptr, ptr, i64)

define internal ptr @field(ptr %object, i64 %place) {
  %at = getelementptr i8, ptr %object, i64 %place
  %found = load ptr, ptr %at
  ret ptr %found
}

define internal void @put(ptr %object, i64 %place, ptr %value) {
  %at = getelementptr i8, ptr %object, i64 %place
  store ptr %value, ptr %at
  ret void
}

; the argument itself, or the value of a tensor that is no view and not tracked; null for another tensor
define internal ptr @value(ptr %argument, i64 %tracked) {
  %class = call ptr @field(ptr %argument, i64 $type)
  %is = icmp eq ptr %class, @tensor
  br i1 %is, label %tensor, label %itself
itself:
  ret ptr %argument
tensor:
  %base = call ptr @field(ptr %argument, i64 $base)
  %node = call ptr @field(ptr %argument, i64 $n)
  %pull = call ptr @field(ptr %node, i64 $pull)
  %whole = icmp eq ptr %base, @none
  %untracked = icmp eq ptr %pull, @none
  %either = icmp ne i64 %tracked, 0
  %fine = or i1 %untracked, %either
  %both = and i1 %whole, %fine
  %v = call ptr @field(ptr %argument, i64 $v)
  %found = select i1 %both, ptr %v, ptr null
  ret ptr %found
}

; whether an argument has the signature of an input; then the program finds there what it holds
define internal i1 @take(ptr %argument, ptr %input, i64 %tracked) {
  %kind = load i64, ptr %input
  %want = call ptr @field(ptr %input, i64 8)
  %to = call ptr @field(ptr %input, i64 16)
  %fixed = icmp eq i64 %kind, 0
  br i1 %fixed, label %same, label %open
same:
  %is.same = icmp eq ptr %argument, %want
  ret i1 %is.same
open:
  %v = call ptr @value(ptr %argument, i64 %tracked)
  %tracks = icmp eq ptr %v, null
  br i1 %tracks, label %no, label %look
look:
  %class = call ptr @field(ptr %v, i64 $type)
  %scalar = icmp eq i64 %kind, 1
  br i1 %scalar, label %number, label %array
number:
  %is.float = icmp eq ptr %class, @float
  %is.float64 = icmp eq ptr %class, @float64
  %is.number = or i1 %is.float, %is.float64
  br i1 %is.number, label %copy, label %no
copy:
  %x.at = getelementptr i8, ptr %v, i64 $fval
  %x = load double, ptr %x.at
  store double %x, ptr %to
  ret i1 true
array:
  %is.array = icmp eq ptr %class, @ndarray
  br i1 %is.array, label %dtype, label %no
dtype:
  %dtype.is = call ptr @field(ptr %v, i64 $descr)
  %flags.at = getelementptr i8, ptr %v, i64 $flags
  %flags = load i32, ptr %flags.at
  %in.order = and i32 %flags, $behaved
  %ndim.at = getelementptr i8, ptr %v, i64 $nd
  %ndim.is = load i32, ptr %ndim.at
  %ndim = call ptr @field(ptr %input, i64 24)
  %ndim.wanted = ptrtoint ptr %ndim to i32
  %same.dtype = icmp eq ptr %dtype.is, %want
  %same.order = icmp eq i32 %in.order, $behaved
  %same.ndim = icmp eq i32 %ndim.is, %ndim.wanted
  %almost = and i1 %same.dtype, %same.order
  %alike = and i1 %almost, %same.ndim
  br i1 %alike, label %shape, label %no
shape:
  %lengths = call ptr @field(ptr %v, i64 $dims)
  %lengths.wanted = call ptr @field(ptr %input, i64 32)
  %ndim.wide = zext i32 %ndim.wanted to i64
  %bytes = mul i64 %ndim.wide, 8
  %differs = call i32 @memcmp(ptr %lengths, ptr %lengths.wanted, i64 %bytes)
  %same.shape = icmp eq i32 %differs, 0
  br i1 %same.shape, label %point, label %no
point:
  %entries = call ptr @field(ptr %v, i64 $data)
  store ptr %entries, ptr %to
  ret i1 true
no:
  ret i1 false
}

; a fresh array for an output, which the program writes to; null for a number
define internal ptr @allocate(ptr %output) {
  %dtype = load ptr, ptr %output
  %number = icmp eq ptr %dtype, null
  br i1 %number, label %none, label %array
none:
  ret ptr null
array:
  %at = call ptr @field(ptr %output, i64 8)
  %ndim.kept = call ptr @field(ptr %output, i64 16)
  %ndim = ptrtoint ptr %ndim.kept to i32
  %shape = call ptr @field(ptr %output, i64 24)
  call void @Py_IncRef(ptr %dtype)
  %a = call ptr @new_array(ptr @ndarray, ptr %dtype, i32 %ndim, ptr %shape, ptr null, ptr null, i32 0, ptr null)
  %failed = icmp eq ptr %a, null
  br i1 %failed, label %end, label %point
point:
  %entries = call ptr @field(ptr %a, i64 $data)
  store ptr %entries, ptr %at
  br label %end
end:
  ret ptr %a
}

; a tensor of a value, whose reference it takes: a leaf made at the user's line
define internal ptr @box(ptr %v, ptr %output, ptr %made, ptr %code, ptr %at) {
entry:
  %n = call ptr @PyType_GenericAlloc(ptr @node, i64 0)
  %t = call ptr @PyType_GenericAlloc(ptr @tensor, i64 0)
  br label %next
next:
  %k = phi i64 [ 0, %entry ], [ %k.next, %fill ]
  %more = icmp slt i64 %k, $fields
  br i1 %more, label %fill, label %rest
fill:
  %pair = getelementptr [2 x ptr], ptr @kept, i64 %k
  %place.kept = load ptr, ptr %pair
  %place = ptrtoint ptr %place.kept to i64
  %default = call ptr @field(ptr %pair, i64 8)
  call void @Py_IncRef(ptr %default)
  call void @put(ptr %n, i64 %place, ptr %default)
  %k.next = add i64 %k, 1
  br label %next
rest:
  %type = call ptr @field(ptr %output, i64 32)
  %small = icmp eq ptr %type, null
  %out = select i1 %small, ptr %v, ptr %type
  call void @Py_IncRef(ptr %out)
  call void @Py_IncRef(ptr %made)
  call void @Py_IncRef(ptr %code)
  call void @Py_IncRef(ptr %at)
  %serial = call ptr @PyObject_CallNoArgs(ptr @next_serial)
  call void @put(ptr %n, i64 $serial, ptr %serial)
  call void @put(ptr %n, i64 $out, ptr %out)
  call void @put(ptr %n, i64 $params, ptr %made)
  call void @put(ptr %n, i64 $code, ptr %code)
  call void @put(ptr %n, i64 $at, ptr %at)
  call void @Py_IncRef(ptr @none)
  call void @put(ptr %t, i64 $v, ptr %v)
  call void @put(ptr %t, i64 $n, ptr %n)
  call void @put(ptr %t, i64 $base, ptr @none)
  ret ptr %t
}

define ptr @enter(ptr %self, ptr %arguments, i64 %given) {
entry:
  %p = call ptr @field(ptr %self, i64 $words)
  %program = load %Program, ptr %p
  %inputs.n = extractvalue %Program %program, 0
  %inputs = extractvalue %Program %program, 1
  %outputs.n = extractvalue %Program %program, 2
  %outputs = extractvalue %Program %program, 3
  %steps.n = extractvalue %Program %program, 4
  %steps = extractvalue %Program %program, 5
  %table = extractvalue %Program %program, 6
  %tracked = extractvalue %Program %program, 7
  %how = extractvalue %Program %program, 8
  %code = load ptr, ptr %arguments
  %at = call ptr @field(ptr %arguments, i64 8)
  %results = alloca ptr, i64 %outputs.n
  %expected = add i64 %inputs.n, 2
  %fits = icmp eq i64 %given, %expected
  br i1 %fits, label %arguments.next, label %no
arguments.next:
  %i = phi i64 [ 0, %entry ], [ %i.next, %arguments.take ]
  %i.more = icmp slt i64 %i, %inputs.n
  br i1 %i.more, label %arguments.take, label %results.next
arguments.take:
  %i.next = add i64 %i, 1
  %i.at = add i64 %i, 2
  %argument.at = getelementptr ptr, ptr %arguments, i64 %i.at
  %argument = load ptr, ptr %argument.at
  %input = getelementptr %Input, ptr %inputs, i64 %i
  %taken = call i1 @take(ptr %argument, ptr %input, i64 %tracked)
  br i1 %taken, label %arguments.next, label %no
results.next:
  %j = phi i64 [ 0, %arguments.next ], [ %j.next, %results.kept ]
  %j.more = icmp slt i64 %j, %outputs.n
  br i1 %j.more, label %results.make, label %steps.next
results.make:
  %j.next = add i64 %j, 1
  %output = getelementptr %Output, ptr %outputs, i64 %j
  %a = call ptr @allocate(ptr %output)
  %dtype = load ptr, ptr %output
  %none.made = icmp eq ptr %a, null
  %wanted = icmp ne ptr %dtype, null
  %failed = and i1 %none.made, %wanted
  br i1 %failed, label %error, label %results.kept
results.kept:
  %result.at = getelementptr ptr, ptr %results, i64 %j
  store ptr %a, ptr %result.at
  br label %results.next
steps.next:
  %s = phi i64 [ 0, %results.next ], [ %s.next, %steps.run ]
  %s.more = icmp slt i64 %s, %steps.n
  br i1 %s.more, label %steps.run, label %finish.next
steps.run:
  %s.next = add i64 %s, 1
  %step.at = getelementptr %Step, ptr %steps, i64 %s
  %step = load %Step, ptr %step.at
  %function = extractvalue %Step %step, 0
  %begin = extractvalue %Step %step, 1
  %end = extractvalue %Step %step, 2
  call void %function(ptr %table, i64 %begin, i64 %end)
  br label %steps.next
finish.next:
  %q = phi i64 [ 0, %steps.next ], [ %q.next, %finish.done ]
  %q.more = icmp slt i64 %q, %outputs.n
  br i1 %q.more, label %finish, label %build
finish:
  %q.next = add i64 %q, 1
  %finished.at = getelementptr ptr, ptr %results, i64 %q
  %finished.output = getelementptr %Output, ptr %outputs, i64 %q
  %array = load ptr, ptr %finished.at
  %is.number = icmp eq ptr %array, null
  br i1 %is.number, label %finish.number, label %finish.array
finish.number:
  %x.at = call ptr @field(ptr %finished.output, i64 8)
  %x = load double, ptr %x.at
  %number = call ptr @PyFloat_FromDouble(double %x)
  store ptr %number, ptr %finished.at
  br label %finish.done
finish.array:
  %bytes.at = getelementptr %Output, ptr %finished.output, i32 0, i32 6
  %bytes = load i64, ptr %bytes.at
  %whole = icmp eq i64 %bytes, 0
  br i1 %whole, label %finish.done, label %finish.copy
finish.copy:
  %to = call ptr @field(ptr %array, i64 $data)
  %from.at = call ptr @field(ptr %finished.output, i64 40)
  %from = load ptr, ptr %from.at
  %copied = call ptr @memcpy(ptr %to, ptr %from, i64 %bytes)
  br label %finish.done
finish.done:
  br label %finish.next
build:
  %one = icmp eq i64 %outputs.n, 1
  br i1 %one, label %single, label %several
single:
  %only = load ptr, ptr %results
  %t = call ptr @box(ptr %only, ptr %outputs, ptr %how, ptr %code, ptr %at)
  ret ptr %t
several:
  %tuple = call ptr @PyTuple_New(i64 %outputs.n)
  br label %tuple.next
tuple.next:
  %m = phi i64 [ 0, %several ], [ %m.next, %tuple.fill ]
  %m.more = icmp slt i64 %m, %outputs.n
  br i1 %m.more, label %tuple.fill, label %tuple.done
tuple.fill:
  %m.next = add i64 %m, 1
  %made.at = getelementptr ptr, ptr %results, i64 %m
  %made = load ptr, ptr %made.at
  %made.output = getelementptr %Output, ptr %outputs, i64 %m
  %boxed = call ptr @box(ptr %made, ptr %made.output, ptr %how, ptr %code, ptr %at)
  %set = call i32 @PyTuple_SetItem(ptr %tuple, i64 %m, ptr %boxed)
  br label %tuple.next
tuple.done:
  ret ptr %tuple
error:
  ret ptr null
no:
  call void @Py_IncRef(ptr @none)
  ret ptr @none
}
