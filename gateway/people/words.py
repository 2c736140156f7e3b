"""What people begin with when a password has to be long: words, runs of keys, years."""

# Stems of the most used passwords of published leaks, and names of months and seasons. Whatever is
# made of these alone, with digits and signs around them, is among the first million tries.
COMMON: frozenset[str] = frozenset(
    """
    password passwort passw0rd motdepasse contrasena parola senha wachtwoord secret geheim
    welcome willkommen bienvenue login signin admin administrator root user username guest test
    testing tester demo example sample default changeme change letmein access account master
    service server system support office company computer internet network website database
    iloveyou loveyou love lovely sweet angel baby princess prince queen king sunshine summer
    winter autumn spring january february march april may june july august september october
    november december monday tuesday wednesday thursday friday saturday sunday
    monkey dragon shadow tiger eagle falcon panther lion wolf bear horse chicken dog cat kitty
    football baseball basketball soccer hockey tennis golf superman batman spiderman pokemon
    starwars startrek naruto matrix phoenix ranger hunter killer warrior knight wizard magic
    michael michelle jennifer jessica ashley nicole daniel andrew thomas robert joshua matthew
    charlie jordan george alexander alexandra maria anna peter martin christian stefan patrick
    william james david john mary
    whatever nothing something anything hello hallo salut freedom liberty trustno trust please
    thankyou forever nopassword mypassword
    cheese cookie chocolate banana apple orange pepper ginger coffee butter sugar
    purple yellow green blue red black white silver golden gold diamond
    samsung google facebook twitter instagram linkedin microsoft windows apple android iphone
    amazon netflix yahoo hotmail gmail
    qwerty qwertz azerty asdf zxcv qazwsx one two three four five six seven eight nine zero ten
    correcthorsebatterystaple ncc1701 thx1138
    convert converter conversion document file files cloud
    """.split()  # noqa: SIM905 (a list that is read and added to by people)
)

# Keys that stand beside one another.
ROWS: tuple[str, ...] = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "qsdfghjklm",
    "zxcvbnm",
    "yxcvbnm",
    "wxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "qazwsxedcrfvtgbyhnujm",
    "!@#$%^&*()",
)
