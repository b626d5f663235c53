using System.Runtime.CompilerServices;

namespace RetrievalEngine.Compute;

/// <summary>The sentence of a failed check; written only when it failed, so that a good call formats and allocates nothing.</summary>
[InterpolatedStringHandler]
internal ref struct CheckMessage
{
    private DefaultInterpolatedStringHandler _text;

    /// <summary>Begins the sentence unless <paramref name="condition"/> holds.</summary>
    public CheckMessage(int literalLength, int formattedCount, bool condition, out bool isEnabled)
    {
        isEnabled = !condition;
        _text = condition ? default : new DefaultInterpolatedStringHandler(literalLength, formattedCount);
    }

    /// <summary>Adds text.</summary>
    public void AppendLiteral(string value) => _text.AppendLiteral(value);

    /// <summary>Adds a value.</summary>
    public void AppendFormatted<T>(T value) => _text.AppendFormatted(value);

    /// <summary>The sentence.</summary>
    public string ToStringAndClear() => _text.ToStringAndClear();
}
