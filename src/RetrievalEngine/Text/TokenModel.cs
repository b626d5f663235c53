using System;
using System.Collections.Generic;

namespace RetrievalEngine.Text;

/// <summary>A token and the UTF-16 units of the piece that it stands for (whole code points, though a token may be a part of one).</summary>
internal readonly record struct TokenSpan(int Id, int Start, int End);

/// <summary>The algorithm that turns a piece of text into tokens. Immutable and thread-safe.</summary>
internal abstract class TokenModel
{
    /// <summary>Appends the tokens of <paramref name="piece"/> (not empty).</summary>
    public abstract void Tokenize(ReadOnlySpan<char> piece, List<TokenSpan> tokens);

    /// <summary>How many units at the start of <paramref name="text"/> can be tokenized apart from the rest; all where it cannot tell.</summary>
    public virtual int StretchLength(ReadOnlySpan<char> text) => text.Length;

    /// <summary>The vocabulary.</summary>
    public abstract Vocabulary Vocabulary { get; }
}
