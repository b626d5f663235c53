using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Linq;

namespace RetrievalEngine.Checkpoints;

/// <summary>
/// The part of Python's pickle format that a saved dictionary of PyTorch tensors needs, and nothing else: any other opcode, and any global that is
/// not a way to say "tensor", is
/// refused by name. Nothing is ever called. https://github.com/python/cpython/blob/main/Lib/pickletools.py
/// </summary>
internal ref struct PickleReader
{
    private static readonly object s_mark = new();

    // Storage classes of PyTorch and the types they hold, in safetensors' words.
    private static readonly Dictionary<string, string> s_storages = new(StringComparer.Ordinal)
    {
        ["torch.FloatStorage"] = "F32",
        ["torch.HalfStorage"] = "F16",
        ["torch.BFloat16Storage"] = "BF16",
        ["torch.DoubleStorage"] = "F64",
        ["torch.LongStorage"] = "I64",
        ["torch.IntStorage"] = "I32",
        ["torch.ShortStorage"] = "I16",
        ["torch.CharStorage"] = "I8",
        ["torch.ByteStorage"] = "U8",
        ["torch.BoolStorage"] = "BOOL",
    };

    private const string OrderedDict = "collections.OrderedDict", Tensor = "torch._utils._rebuild_tensor_v2", Parameter = "torch._utils._rebuild_parameter";

    private readonly ReadOnlySpan<byte> _bytes;
    private readonly string _where;
    private readonly List<object?> _stack = [];
    private readonly Dictionary<uint, object?> _memo = [];
    private int _at;

    /// <summary>Reads <paramref name="bytes"/>; messages begin with <paramref name="where"/>.</summary>
    public PickleReader(ReadOnlySpan<byte> bytes, string where)
    {
        _bytes = bytes;
        _where = where;
    }

    /// <summary>Bytes read so far.</summary>
    public readonly int Position => _at;

    /// <summary>
    /// The next object: null, bool, long, double, string, <c>object?[]</c> (tuple), <see cref="List{T}"/>, <see cref="PickledDictionary"/>, <see
    /// cref="PickledGlobal"/>,
    /// <see cref="PickledStorage"/> or <see cref="PickledTensor"/>.
    /// </summary>
    /// <exception cref="InputException">It is damaged, or holds something else.</exception>
    public object? Read()
    {
        _stack.Clear();
        _memo.Clear();
        while (true)
        {
            byte opcode = Take(1)[0];
            if (opcode == '.') return Pop();
            Execute(opcode);
        }
    }

    private void Execute(byte opcode)
    {
        switch ((char)opcode)
        {
            case '\x80':
                if (Take(1)[0] is var version and not (2 or 3 or 4)) throw Bad($"pickle protocol {version} is not read; 2 to 4 are");
                break;
            case '\x95':
                Take(8);
                break;
            case '(':
                _stack.Add(s_mark);
                break;
            case '}':
                _stack.Add(new PickledDictionary());
                break;
            case ']':
                _stack.Add(new List<object?>());
                break;
            case ')':
                _stack.Add(Array.Empty<object?>());
                break;
            case 't':
                _stack.Add(PopToMark());
                break;
            case '\x85' or '\x86' or '\x87':
                _stack.Add(PopMany(opcode - 0x84));
                break;
            case 'N':
                _stack.Add(null);
                break;
            case '\x88' or '\x89':
                _stack.Add(opcode == 0x88);
                break;
            case 'K':
                _stack.Add((long)Take(1)[0]);
                break;
            case 'M':
                _stack.Add((long)BinaryPrimitives.ReadUInt16LittleEndian(Take(2)));
                break;
            case 'J':
                _stack.Add((long)BinaryPrimitives.ReadInt32LittleEndian(Take(4)));
                break;
            case '\x8a':
                _stack.Add(Long(Take(Take(1)[0])));
                break;
            case 'G':
                _stack.Add(BinaryPrimitives.ReadDoubleBigEndian(Take(8)));
                break;
            case 'X':
                _stack.Add(Text(Take(Length(BinaryPrimitives.ReadUInt32LittleEndian(Take(4))))));
                break;
            case '\x8c' or 'U':
                _stack.Add(Text(Take(Take(1)[0])));
                break;
            case 'q':
                _memo[Take(1)[0]] = Peek();
                break;
            case 'r':
                _memo[BinaryPrimitives.ReadUInt32LittleEndian(Take(4))] = Peek();
                break;
            case '\x94':
                _memo[(uint)_memo.Count] = Peek();
                break;
            case 'h':
                _stack.Add(Recall(Take(1)[0]));
                break;
            case 'j':
                _stack.Add(Recall(BinaryPrimitives.ReadUInt32LittleEndian(Take(4))));
                break;
            case 's':
                object?[] pair = PopMany(2);
                Dictionary().Add(Key(pair[0]), pair[1]);
                break;
            case 'u':
                object?[] pairs = PopToMark();
                if (pairs.Length % 2 != 0) throw Bad("a dictionary is given a key without a value");
                for (int i = 0; i < pairs.Length; i += 2) Dictionary().Add(Key(pairs[i]), pairs[i + 1]);
                break;
            case 'a':
                object? item = Pop();
                Items().Add(item);
                break;
            case 'e':
                object?[] items = PopToMark();
                Items().AddRange(items);
                break;
            case 'c':
                string module = Line();
                _stack.Add(Global($"{module}.{Line()}"));
                break;
            case '\x93':
                object?[] names = PopMany(2);
                _stack.Add(Global($"{names[0] as string}.{names[1] as string}"));
                break;
            case 'Q':
                _stack.Add(Storage(Pop()));
                break;
            case 'R':
                object?[] call = PopMany(2);
                _stack.Add(Reduce(call[0] as PickledGlobal, call[1] as object?[]));
                break;
            case 'b':
                // The _metadata of a state dictionary: versions of modules.
                if (Pop() is not PickledDictionary) throw Bad("BUILD is given a state that is no dictionary");
                Dictionary();
                break;
            default:
                throw Bad($"opcode {PickleOpcodes.Name(opcode)} is not read: a file of tensors does not need it");
        }
    }

    private readonly PickledGlobal Global(string name)
    {
        if (name is OrderedDict or Tensor or Parameter || s_storages.ContainsKey(name)) return new PickledGlobal(name);
        throw Bad($"the global {name} is not read: only what tensors need is");
    }

    private readonly PickledStorage Storage(object? id)
    {
        if (id is not object?[] { Length: 5 or 6 } parts || parts[0] is not "storage" || parts[1] is not PickledGlobal type || parts[2] is not string key
            || parts[4] is not long count || count < 0 || !s_storages.TryGetValue(type.Name, out string? stored) || (parts.Length == 6 && parts[5] is not null))
            throw Bad("a persistent id is not that of a storage");
        return new PickledStorage(key, stored, count);
    }

    private readonly object Reduce(PickledGlobal? callee, object?[]? arguments)
    {
        switch (callee?.Name)
        {
            case OrderedDict when arguments is []:
                return new PickledDictionary();
            case Parameter when arguments is [PickledTensor tensor, bool, PickledDictionary]:
                return tensor;
            case Tensor when arguments is [PickledStorage storage, long offset, object?[] sizes, object?[] strides, bool, PickledDictionary, ..]:
                if (sizes.Length == strides.Length && sizes.All(n => n is >= 0L) && strides.All(n => n is >= 0L) && offset >= 0)
                    return new PickledTensor(storage, offset, [.. sizes.Cast<long>()], [.. strides.Cast<long>()]);
                break;
        }

        throw Bad($"{callee?.Name ?? "something that is no global"} is given arguments that are not those of a tensor");
    }

    private readonly PickledDictionary Dictionary() => Peek() as PickledDictionary ?? throw Bad("a dictionary is expected where something else is");

    private readonly List<object?> Items() => Peek() as List<object?> ?? throw Bad("a list is expected where something else is");

    private readonly object Key(object? key) => key ?? throw Bad("a dictionary's key is None");

    private readonly object? Peek() => _stack.Count > 0 && _stack[^1] != s_mark ? _stack[^1] : throw Bad("the stack is empty");

    private readonly object? Pop()
    {
        object? top = Peek();
        _stack.RemoveAt(_stack.Count - 1);
        return top;
    }

    private readonly object?[] PopMany(int count)
    {
        object?[] items = new object?[count];
        for (int i = count - 1; i >= 0; i--) items[i] = Pop();
        return items;
    }

    private readonly object?[] PopToMark()
    {
        int mark = _stack.LastIndexOf(s_mark);
        if (mark < 0) throw Bad("MARK is missing");
        object?[] items = [.. _stack[(mark + 1)..]];
        _stack.RemoveRange(mark, _stack.Count - mark);
        return items;
    }

    private readonly object? Recall(uint index) => _memo.TryGetValue(index, out object? value) ? value : throw Bad($"memo {index} is not set");

    private readonly long Long(ReadOnlySpan<byte> bytes)
    {
        // Two's complement, little endian, as many bytes as needed; the magic number of old files has ten.
        if (bytes.Length > 8) return long.MaxValue;
        long value = bytes.Length > 0 && bytes[^1] >= 0x80 ? -1 : 0;
        for (int i = bytes.Length - 1; i >= 0; i--) value = (value << 8) | bytes[i];
        return value;
    }

    private readonly string Text(ReadOnlySpan<byte> bytes) =>
        System.Text.Unicode.Utf8.IsValid(bytes) ? System.Text.Encoding.UTF8.GetString(bytes) : throw Bad("a string is not valid UTF-8");

    private readonly int Length(uint length) => length <= int.MaxValue ? (int)length : throw Bad("it is truncated");

    private string Line()
    {
        int end = _bytes[_at..].IndexOf((byte)'\n');
        if (end < 0) throw Bad("it is truncated");
        string line = Text(Take(end));
        _at++;
        return line;
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > _bytes.Length - _at) throw Bad("it is truncated");
        ReadOnlySpan<byte> taken = _bytes.Slice(_at, count);
        _at += count;
        return taken;
    }

    private readonly InputException Bad(string what) => new($"{_where}: {what} (pickle, byte {_at})");
}
