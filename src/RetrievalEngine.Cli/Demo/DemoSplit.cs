namespace RetrievalEngine.Cli.Demo;

/// <summary>What a type's documentation is used for. Every member of a type goes where the type goes.</summary>
internal enum DemoSplit
{
    /// <summary>Makes the base checkpoint in <c>assets/</c>; the demo never trains or measures on it.</summary>
    Pretrain,

    /// <summary>The demo's fine-tuning.</summary>
    Train,

    /// <summary>Watched during fine-tuning.</summary>
    Dev,

    /// <summary>Measured once, at the end.</summary>
    Test,
}
