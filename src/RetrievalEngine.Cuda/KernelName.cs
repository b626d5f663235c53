using System;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace RetrievalEngine.Cuda;

/// <summary>The name of a kernel, put together on the stack: launches are many, and names as strings would be garbage.</summary>
[InterpolatedStringHandler]
internal ref struct KernelName
{
    private Buffer _buffer;
    private int _length;

    /// <summary>Begins <c>$"…"</c>.</summary>
    public KernelName(int literalLength, int formattedCount)
    {
        _ = literalLength + formattedCount;
    }

    /// <summary>A name without parts to fill in.</summary>
    public static implicit operator KernelName(string name)
    {
        KernelName kernel = default;
        kernel.AppendLiteral(name);
        return kernel;
    }

    /// <summary>Adds text.</summary>
    public void AppendLiteral(string value) => AppendFormatted(value);

    /// <summary>Adds text.</summary>
    public void AppendFormatted(string value)
    {
        value.CopyTo(((Span<char>)_buffer)[_length..]);
        _length += value.Length;
    }

    /// <summary>Adds a number.</summary>
    public void AppendFormatted(int value)
    {
        value.TryFormat(((Span<char>)_buffer)[_length..], out int written, default, System.Globalization.CultureInfo.InvariantCulture);
        _length += written;
    }

    /// <summary>The name; valid as long as this variable.</summary>
    [UnscopedRef]
    public ReadOnlySpan<char> Text => ((ReadOnlySpan<char>)_buffer)[.._length];

    [InlineArray(96)]
    private struct Buffer
    {
        private char _first;
    }
}
