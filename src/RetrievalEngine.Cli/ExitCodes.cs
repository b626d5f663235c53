namespace RetrievalEngine.Cli;

/// <summary>What scripts can rely on.</summary>
internal static class ExitCodes
{
    /// <summary>Done.</summary>
    public const int Done = 0;

    /// <summary>The check or comparison failed.</summary>
    public const int CheckFailed = 1;

    /// <summary>Bad usage or input, or an output that cannot be written.</summary>
    public const int BadInput = 2;

    /// <summary>Nothing failed, but nothing could be checked either (verify: skips alone).</summary>
    public const int OnlySkipped = 3;

    /// <summary>Stopped by Ctrl-C with the state saved.</summary>
    public const int Stopped = 130;
}
