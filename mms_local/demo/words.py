# ruff: noqa: RUF001 -- six languages, written as their speakers write them
"""What an invitation says in six languages: the words of its Skype block, subjects, and a line or two of prose."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One language of the seeded tenant."""

    locale: str
    lcid: str
    """As Outlook writes it into the block's hidden language marker: decimal in most versions, hexadecimal in some."""
    zone: str
    """The Windows name of the time zone of its speakers."""
    join: str
    trouble: str
    web_app: str
    phone: str
    local_number: str
    conference_id: str
    forgot_pin: str
    help: str
    location: str
    """What Outlook writes into the meeting's location."""
    country: str
    greeting: str
    agenda: str
    closing: str
    points: tuple[str, ...]
    subjects: tuple[str, ...]


ENGLISH = Words(
    locale="en-US",
    lcid="1033",
    zone="Pacific Standard Time",
    join="Join Skype Meeting",
    trouble="Trouble Joining?",
    web_app="Try Skype Web App",
    phone="Join by phone",
    local_number="Find a local number",
    conference_id="Conference ID:",
    forgot_pin="Forgot your dial-in PIN?",
    help="Help",
    location="Skype Meeting",
    country="United States",
    greeting="Hello everyone,",
    agenda="Agenda",
    closing="Please send me your slides the day before.",
    points=(
        "Numbers of last month, and what surprised us",
        "Who takes over the Tacoma account?",
        "Decision on the pilot (15 min, with a vote)",
        "Open points from the workshop",
        "Hiring: two candidates, one seat",
    ),
    subjects=(
        "Budget review",
        "Supplier call",
        "Design critique",
        "Roadmap, part 2",
        "Incident follow-up",
        "Sales forecast",
        "Warehouse move: go or no-go",
        "Customer visit preparation",
    ),
)

GERMAN = Words(
    locale="de-DE",
    lcid="1031",
    zone="W. Europe Standard Time",
    join="An Skype-Besprechung teilnehmen",
    trouble="Probleme bei der Teilnahme?",
    web_app="Skype Web App testen",
    phone="Per Telefon teilnehmen",
    local_number="Lokale Rufnummer suchen",
    conference_id="Konferenzkennung:",
    forgot_pin="Einwahl-PIN vergessen?",
    help="Hilfe",
    location="Skype-Besprechung",
    country="Deutschland",
    greeting="Liebe Kolleginnen und Kollegen,",
    agenda="Tagesordnung",
    closing="Rückfragen bitte bis Freitag an mich. Schöne Grüße",
    points=(
        "Rückblick: Was lief gut, was hätten wir früher merken müssen?",
        "Übergabe der Prüfprotokolle an das Werk in Böblingen",
        "Größere Änderungen im Maßnahmenplan",
        "Kosten (vorläufig): 12.400 € – nicht weitergeben",
        "Verschiedenes",
    ),
    subjects=(
        "Jour fixe Fertigung",
        "Abstimmung Lieferplan",
        "Vertragsprüfung",
        "Lessons learned Rollout Süd",
        "Freigabe Zeichnungen",
        "Betriebsratsanhörung",
        "Kundentermin vorbereiten",
        "Reifegradprüfung",
    ),
)

FRENCH = Words(
    locale="fr-FR",
    lcid="1036",
    zone="Romance Standard Time",
    join="Rejoindre la réunion Skype",
    trouble="Vous n'arrivez pas à vous connecter ?",
    web_app="Essayez Skype Web App",
    phone="Participer par téléphone",
    local_number="Trouver un numéro local",
    conference_id="ID de conférence :",
    forgot_pin="Vous avez oublié votre code confidentiel ?",
    help="Aide",
    location="Réunion Skype",
    country="France",
    greeting="Bonjour à toutes et à tous,",
    agenda="Ordre du jour",
    closing="Merci de prévenir si vous ne pouvez pas être là. À bientôt !",
    points=(
        "Où en est le chantier de Nîmes ?",
        "Relecture du cœur du contrat, article par article",
        "Déménagement : qui s'occupe des étiquettes ?",
        "Réponses à l'appel d'offres « Étoile »",
        "Questions diverses",
    ),
    subjects=(
        "Point hebdomadaire",
        "Comité de pilotage",
        "Revue de projet Étoile",
        "Préparation de l'audit",
        "Entretien fournisseur",
        "Bilan de l'été",
        "Réunion d'équipe",
        "Arbitrage budgétaire",
    ),
)

SWEDISH = Words(
    locale="sv-SE",
    lcid="041d",
    zone="W. Europe Standard Time",
    join="Anslut till Skype-mötet",
    trouble="Anslutningsproblem?",
    web_app="Prova Skype Web App",
    phone="Anslut via telefon",
    local_number="Hitta ett lokalt nummer",
    conference_id="Konferens-ID:",
    forgot_pin="Har du glömt din PIN-kod för uppringning?",
    help="Hjälp",
    location="Skype-möte",
    country="Sverige",
    greeting="Hej på er,",
    agenda="Dagordning",
    closing="Fikat står framme från tio i.",
    points=(
        "Lägesrapport från Örebro",
        "Nästa års mål: färre, tydligare",
        "Vem åker till mässan i Älmhult?",
        "Beslut om lönekörningen",
        "Övrigt",
    ),
    subjects=(
        "Veckomöte",
        "Planering inför hösten",
        "Avstämning åkeriet",
        "Genomgång av avtal",
        "Ledningsgrupp",
        "Månadsbokslut",
        "Utvärdering av piloten",
        "Samråd med facket",
    ),
)

DUTCH = Words(
    locale="nl-NL",
    lcid="1043",
    zone="W. Europe Standard Time",
    join="Deelnemen aan Skype-vergadering",
    trouble="Problemen met deelnemen?",
    web_app="Skype Web App proberen",
    phone="Deelnemen via telefoon",
    local_number="Een lokaal nummer zoeken",
    conference_id="Vergaderings-ID:",
    forgot_pin="Bent u uw pincode vergeten?",
    help="Help",
    location="Skype-vergadering",
    country="Nederland",
    greeting="Beste allemaal,",
    agenda="Agenda",
    closing="Graag tot dan; laat het weten als je er niet bij kunt zijn.",
    points=(
        "Terugblik op de proef in Zoetermeer",
        "Wie vervangt Daniël in de zomer?",
        "Begroting: drie scenario's",
        "Storingen van afgelopen week",
        "Rondvraag",
    ),
    subjects=(
        "Weekstart",
        "Stuurgroep migratie",
        "Overleg met de gemeente",
        "Voortgang magazijn",
        "Functioneringsgesprekken",
        "Kwartaalcijfers",
        "Klantbezoek voorbereiden",
        "Storingsanalyse",
    ),
)

JAPANESE = Words(
    locale="ja-JP",
    lcid="1041",
    zone="Tokyo Standard Time",
    join="Skype 会議に参加",
    trouble="参加できない場合",
    web_app="Skype Web App を試す",
    phone="電話で参加",
    local_number="市内番号を検索",
    conference_id="会議 ID:",
    forgot_pin="ダイヤルイン PIN を忘れた場合",
    help="ヘルプ",
    location="Skype 会議",
    country="日本",
    greeting="関係者各位",
    agenda="議題",
    closing="ご不明な点がございましたら、ご連絡ください。よろしくお願いいたします。",
    points=(
        "先月の実績と今月の見込み",
        "髙橋様・𠮷田様ご来社の準備",
        "新システム移行スケジュール（案）",
        "品質改善の取り組みについて",
        "その他",
    ),
    subjects=(
        "定例会議",
        "営業進捗確認",
        "品質レビュー",
        "予算打ち合わせ",
        "お客様訪問の準備",
        "新製品企画会議",
        "システム移行の件",
        "採用面接",
    ),
)

LANGUAGES: tuple[Words, ...] = (ENGLISH, GERMAN, FRENCH, SWEDISH, DUTCH, JAPANESE)
