namespace RetrievalEngine.Text;

/// <summary>Which end of a text that is too long goes.</summary>
public enum TruncationSide
{
    /// <summary>The end: the first tokens stay.</summary>
    Right,

    /// <summary>The beginning: the last tokens stay.</summary>
    Left,
}
